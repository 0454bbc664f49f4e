-- The index of the providers' ids is ordered by the hour of acceptance first: ids that a provider draws at random would
-- otherwise touch a page of their own anywhere in a day's index, and cost more the more of them there are. Within the
-- hour a hash stands for the id. Who looks for an id names the hours; hour counts from 1970, in UTC.

-- +goose Up
alter table provider_ref add column hour int not null default 0;
update provider_ref set hour = floor(extract(epoch from at) / 3600);
alter table provider_ref alter column hour drop default;
drop index provider_ref_ref_idx;
create index on provider_ref (hour, hashtext(ref));
drop index receipt_parked_parked_at_idx;
create index on receipt_parked (parked_at, provider, ref, state);
-- The recorder reads, merges and writes: it needs no trace of the state before.
alter table message drop column was, drop column was_reason;

-- +goose Down
alter table message add column was smallint, add column was_reason smallint;
drop index receipt_parked_parked_at_provider_ref_state_idx;
create index on receipt_parked (parked_at);
drop index provider_ref_hour_hashtext_idx;
create index on provider_ref (ref);
alter table provider_ref drop column hour;
