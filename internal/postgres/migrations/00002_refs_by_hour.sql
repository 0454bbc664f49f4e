-- The index of the providers' ids is ordered by the hour of acceptance first: ids that a provider draws at random would
-- otherwise touch a page of their own anywhere in a day's index, and cost more the more of them there are. Within the
-- hour a hash stands for the id. Who looks for an id names the hours, in UTC.

-- +goose Up
create index provider_ref_hour on provider_ref (date_trunc('hour', at at time zone 'UTC'), hashtext(ref));
drop index provider_ref_ref_idx;
create index receipt_parked_page on receipt_parked (parked_at, provider, ref, state);
drop index receipt_parked_parked_at_idx;
-- The recorder reads, merges and writes: it needs no trace of the state before.
alter table message drop column was, drop column was_reason;

-- +goose Down
alter table message add column was smallint, add column was_reason smallint;
create index on receipt_parked (parked_at);
drop index receipt_parked_page;
create index on provider_ref (ref);
drop index provider_ref_hour;
