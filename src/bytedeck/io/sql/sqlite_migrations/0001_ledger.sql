-- The marks of an attempt, append-only. Money is in units of 10^-12 USD, times are microseconds
-- since 1970 (UTC), durations microseconds. No row holds words of a prompt or an answer.

create table intent (
  id integer primary key,
  attempt text not null unique,
  request text not null,
  number integer not null,
  task text not null,
  model text not null,
  key text not null,
  streamed integer not null,
  worst_units integer,
  owner text not null,
  at integer not null
) strict;

create index intent_at on intent (at);

-- The key of the other marks is the intent's id: small, and in the order of writing.
create table opened (
  intent integer primary key,
  generation_id text not null,
  at integer not null
) strict;

create table settlement (
  intent integer primary key,
  outcome text not null,
  quality text not null,
  cost_units integer,
  cost_text text not null,
  upstream_units integer,
  is_byok integer not null,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  total_tokens integer not null,
  cached_tokens integer not null,
  cache_write_tokens integer not null,
  reasoning_tokens integer not null,
  web_searches integer not null,
  model text not null,
  provider text not null,
  generation_id text not null,
  finish_reason text not null,
  error text not null,
  first_token_us integer,
  duration_us integer not null,
  at integer not null
) strict;

-- What the upstream said of a generation afterwards; it outweighs the settlement.
create table reconciliation (
  intent integer primary key,
  quality text not null,
  cost_units integer,
  cost_text text not null,
  upstream_units integer,
  is_byok integer not null,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  total_tokens integer not null,
  cached_tokens integer not null,
  cache_write_tokens integer not null,
  reasoning_tokens integer not null,
  at integer not null
) strict;

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
  coalesce(s.outcome, '') as outcome,
  coalesce(r.quality, s.quality, 'unknown') as quality,
  coalesce(s.model, '') as answered,
  coalesce(s.provider, '') as provider,
  coalesce(nullif(s.generation_id, ''), o.generation_id, '') as generation_id,
  coalesce(s.finish_reason, '') as finish_reason,
  coalesce(s.error, '') as error,
  iif(r.intent is null, s.cost_units, r.cost_units) as cost_units,
  iif(r.intent is null, coalesce(s.cost_text, ''), r.cost_text) as cost_text,
  iif(r.intent is null, s.upstream_units, r.upstream_units) as upstream_units,
  coalesce(r.is_byok, s.is_byok, 0) as is_byok,
  coalesce(r.prompt_tokens, s.prompt_tokens, 0) as prompt_tokens,
  coalesce(r.completion_tokens, s.completion_tokens, 0) as completion_tokens,
  coalesce(r.total_tokens, s.total_tokens, 0) as total_tokens,
  coalesce(r.cached_tokens, s.cached_tokens, 0) as cached_tokens,
  coalesce(r.cache_write_tokens, s.cache_write_tokens, 0) as cache_write_tokens,
  coalesce(r.reasoning_tokens, s.reasoning_tokens, 0) as reasoning_tokens,
  coalesce(s.web_searches, 0) as web_searches,
  s.first_token_us,
  coalesce(s.duration_us, 0) as duration_us
from intent i
left join opened o on o.intent = i.id
left join settlement s on s.intent = i.id
left join reconciliation r on r.intent = i.id;
