-- The clients: what every shop knows of them in columns, what this shop declared in attributes, and where they are reached.

-- +goose Up
create table profile (
  id          bigint generated always as identity primary key,
  external_id text not null unique, -- by which jobs and the shop's systems name the client
  first_name  text,
  last_name   text,
  middle_name text,
  sex         text check (sex in ('female', 'male')),
  birth_date  date,
  city        text,
  store       text,
  locale      text,
  timezone    text,
  attributes  jsonb not null default '{}', -- by name; their types are in attribute
  created_at  timestamptz not null,
  updated_at  timestamptz not null
) with (fillfactor = 85);

-- One row per address, written by whoever holds the lock of the profile's row. Position 0 is the preferred one.
create table contact_point (
  profile_id bigint not null,
  channel    smallint not null,
  position   smallint not null,
  address    text not null, -- normalised
  primary key (profile_id, channel, position)
);

-- What this shop knows of its clients beside the columns. An attribute never changes.
create table attribute (
  id         int generated always as identity primary key,
  name       text not null unique,
  type       text not null check (type in ('string', 'number', 'money', 'bool', 'date', 'time')),
  title      text not null,
  created_at timestamptz not null
);

-- +goose Down
drop table attribute;
drop table contact_point;
drop table profile;
