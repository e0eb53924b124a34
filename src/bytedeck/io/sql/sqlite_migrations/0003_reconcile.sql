-- What the upstream says of a generation afterwards is asked for and written: a reconciliation without a cost says that
-- it was given up, and leaves the settlement as it is.

drop view attempts;

create view attempts as
select
  i.id,
  i.attempt,
  i.request,
  i.number,
  i.at,
  i.task,
  i.model,
  i.key,
  i.streamed,
  i.worst_units,
  i.owner,
  s.at as settled_at,
  r.at as reconciled_at,
  coalesce(s.outcome, '') as outcome,
  iif(r.cost_units is null, coalesce(s.quality, 'unknown'), r.quality) as quality,
  coalesce(s.model, '') as answered,
  coalesce(s.provider, '') as provider,
  coalesce(nullif(s.generation_id, ''), o.generation_id, '') as generation_id,
  coalesce(s.finish_reason, '') as finish_reason,
  coalesce(s.error, '') as error,
  coalesce(r.cost_units, s.cost_units) as cost_units,
  iif(r.cost_units is null, coalesce(s.cost_text, ''), r.cost_text) as cost_text,
  iif(r.cost_units is null, s.upstream_units, r.upstream_units) as upstream_units,
  iif(r.cost_units is null, coalesce(s.is_byok, 0), r.is_byok) as is_byok,
  iif(r.cost_units is null, coalesce(s.prompt_tokens, 0), r.prompt_tokens) as prompt_tokens,
  iif(r.cost_units is null, coalesce(s.completion_tokens, 0), r.completion_tokens) as completion_tokens,
  iif(r.cost_units is null, coalesce(s.total_tokens, 0), r.total_tokens) as total_tokens,
  iif(r.cost_units is null, coalesce(s.cached_tokens, 0), r.cached_tokens) as cached_tokens,
  -- The upstream's record does not tell them.
  max(coalesce(r.cache_write_tokens, 0), coalesce(s.cache_write_tokens, 0)) as cache_write_tokens,
  iif(r.cost_units is null, coalesce(s.reasoning_tokens, 0), r.reasoning_tokens) as reasoning_tokens,
  coalesce(s.web_searches, 0) as web_searches,
  s.first_token_us,
  coalesce(s.duration_us, 0) as duration_us
from intent i
left join opened o on o.intent = i.id
left join settlement s on s.intent = i.id
left join reconciliation r on r.intent = i.id;

-- What can be asked for is found without looking through all rows.
create index settlement_unknown on settlement (intent) where cost_units is null;

-- Every attempt before this one is settled: where the next sweep begins.
create table swept (
  id integer primary key check (id = 1),
  before integer not null
) strict;
