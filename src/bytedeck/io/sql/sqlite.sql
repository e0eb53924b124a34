-- The statements of the SQLite ledger. A sum of money is split in two (billions of units, and the
-- rest), so that no sum overflows 64 bits; `spend` is the charge and, with one's own provider key,
-- the provider's bill.

-- name: begin
insert into intent (attempt, request, number, task, model, key, streamed, worst_units, owner, at, upstream_key)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: mark
insert into opened (intent, generation_id, at)
select id, ?2, ?3 from intent where attempt = ?1
on conflict do nothing

-- name: settle
insert into settlement (
  intent, outcome, quality, cost_units, cost_text, upstream_units, is_byok, prompt_tokens,
  completion_tokens, total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, web_searches,
  model, provider, generation_id, finish_reason, error, first_token_us, duration_us, at
)
select id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22
from intent where attempt = ?1
on conflict do nothing

-- name: teach
insert into learnt (model, outcome, at)
select model, ?2, ?3 from intent where id = ?1
on conflict (model, outcome) do update set at = excluded.at

-- name: reconcile
insert into reconciliation (
  intent, quality, cost_units, cost_text, upstream_units, is_byok, prompt_tokens, completion_tokens,
  total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, at
)
select i.id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
from intent i join settlement s on s.intent = i.id where i.attempt = ?1
on conflict do nothing

-- name: clock
insert into clock (id, boot, ahead)
values (1, ?1, max(?2, (select coalesce(max(at), 0) from bucket)) - ?3)
on conflict do update set boot = excluded.boot, ahead = excluded.ahead where boot <> excluded.boot

-- name: ahead
select ahead from clock

-- name: clock_of
select boot = :boot, ahead, (select coalesce(max(at), 0) from bucket) from clock

-- name: bucket
select tat, back from bucket where name = ?

-- name: fill
insert into bucket (name, tat, back, at) values (?, ?, ?, ?)
on conflict do update set tat = excluded.tat, back = excluded.back, at = excluded.at

-- name: hold
insert into held (intent, holds) values (?, ?)

-- name: release
delete from held where intent = ? returning holds

-- name: stale_holds
select count(*) from held join settlement using (intent)

-- name: account
select spent, held from account where scope = :scope and whose = :whose and since = :since and until = :until

-- name: open_account
insert into account (scope, whose, period, since, until, spent, held)
values (:scope, :whose, :period, :since, :until, :spent, :held)
on conflict do nothing

-- name: hear_intents
create trigger if not exists intent_holds after insert on intent when new.worst_units > 0
begin
  insert into movement values (new.key, new.task, new.at, 0, new.worst_units);
end

-- name: hear_settlements
create trigger if not exists settlement_spends after insert on settlement
begin
  insert into movement
  select
    key, task, at,
    coalesce(new.cost_units + iif(new.is_byok, coalesce(new.upstream_units, 0), 0), worst_units, 0),
    -coalesce(worst_units, 0)
  from intent where id = new.intent;
end

-- name: forget_accounts
delete from account where until < :before

-- name: account_rows
select
  coalesce(sum(spent / 1000000000), 0), coalesce(sum(spent % 1000000000), 0),
  coalesce(sum(held / 1000000000), 0), coalesce(sum(held % 1000000000), 0)
from (
  select
    iif(settled_at is null, 0, coalesce(
      cost_units + iif(is_byok, coalesce(upstream_units, 0), 0), worst_units, 0
    )) as spent,
    iif(settled_at is null, coalesce(worst_units, 0), 0) as held
  from attempts
  where at >= :since and at < :until
    and case :scope when 'key' then key = :whose when 'task' then task = :whose else true end
)

-- name: accounts
select scope, whose, period, since, until, spent, held from account where spent + held is not null

-- name: is_lost
select 1 from settlement s join intent i on i.id = s.intent
where i.attempt = ? and s.outcome = 'lost' and s.cost_units is null

-- name: beat
insert into owner (name, boot, beat) values (?, ?, ?)
on conflict do update set beat = excluded.beat

-- name: forget_beats
delete from owner where boot <> ? or beat < ?

-- name: swept
insert into swept (id, before) values (1, ?1)
on conflict do update set before = excluded.before

-- name: rows
select
  attempt, request, number, at, task, model, key, streamed, worst_units, owner, settled_at, reconciled_at,
  outcome, quality, answered, provider, generation_id, finish_reason, error, cost_units, cost_text,
  upstream_units, is_byok, prompt_tokens, completion_tokens, total_tokens, cached_tokens,
  cache_write_tokens, reasoning_tokens, web_searches, first_token_us, duration_us, upstream_key
from attempts where at >= :since
  and (:before = '' or id < (select id from intent where attempt = :before))
  and (:key = '' or key = :key) and (:task = '' or task = :task)
  and (:model = '' or model = :model) and (:outcome = '' or outcome = :outcome)
order by id desc limit :limit

-- name: attempts_of
select
  attempt, request, number, at, task, model, key, streamed, worst_units, owner, settled_at, reconciled_at,
  outcome, quality, answered, provider, generation_id, finish_reason, error, cost_units, cost_text,
  upstream_units, is_byok, prompt_tokens, completion_tokens, total_tokens, cached_tokens,
  cache_write_tokens, reasoning_tokens, web_searches, first_token_us, duration_us, upstream_key
from (select value as wanted from json_each(:requests)) cross join attempts
where attempt > wanted || '-' and attempt < wanted || '.'
order by id

-- name: export
select
  id, attempt, request, number, at, task, model, key, streamed, worst_units, owner, settled_at, reconciled_at,
  outcome, quality, answered, provider, generation_id, finish_reason, error, cost_units, cost_text,
  upstream_units, is_byok, prompt_tokens, completion_tokens, total_tokens, cached_tokens,
  cache_write_tokens, reasoning_tokens, web_searches, first_token_us, duration_us, upstream_key
from attempts where id > :after and id <= :last and +at >= :since order by id limit :limit

-- name: usage
select
  case :by when 'task' then task when 'model' then model when 'key' then key else '' end as label,
  at / 86400000000 as day,
  count(*) as attempts,
  sum(prompt_tokens) as prompt_tokens,
  sum(completion_tokens) as completion_tokens,
  coalesce(sum(cost_units / 1000000000 + upstream / 1000000000), 0) as billions,
  coalesce(sum(cost_units % 1000000000 + upstream % 1000000000), 0) as rest,
  count(*) - count(cost_units) as unknown,
  sum(cost_units is not null and quality in ('partial', 'estimated')) as estimated,
  sum(iif(cost_units is null, coalesce(worst_units, 0), 0) / 1000000000) as worst_billions,
  sum(iif(cost_units is null, coalesce(worst_units, 0), 0) % 1000000000) as worst_rest,
  sum(cost_units is null and worst_units is null) as unbounded
from (select *, iif(is_byok, coalesce(upstream_units, 0), 0) as upstream from attempts)
where at >= :since group by label, day

-- name: requests
select
  case :by when 'task' then task when 'model' then model when 'key' then key
    else date(at / 1000000, 'unixepoch') end as label,
  count(distinct request)
from intent where at >= :since group by label

-- name: all_requests
select count(distinct request) from intent where at >= :since

-- name: costs
select attempt, cost_units, cost_text, upstream_units, is_byok, worst_units from attempts

-- name: begun
select count(*) from intent

-- name: swept_before
select coalesce(max(before), 0) from swept

-- name: open
select i.id, i.attempt, i.model, i.owner, i.at, coalesce(o.generation_id, '')
from intent i left join settlement s on s.intent = i.id left join opened o on o.intent = i.id
where i.id >= :first and s.intent is null order by i.id

-- name: beats
select name, beat from owner where boot = :boot

-- name: awaiting
select i.attempt, coalesce(nullif(s.generation_id, ''), o.generation_id) as generation_id,
  coalesce(nullif(i.upstream_key, ''), i.key), s.at, i.id
from settlement s
join intent i on i.id = s.intent
left join opened o on o.intent = s.intent
where (s.cost_units is null or s.quality = 'estimated') and s.intent > :after
  and (s.generation_id <> '' or o.generation_id <> '')
  and not exists (select 1 from reconciliation r where r.intent = s.intent)
order by s.intent limit :limit

-- name: without_intent
select kind, count(*) from (
  select 'generation id' as kind, intent from opened
  union all select 'settlement', intent from settlement
  union all select 'reconciliation', intent from reconciliation
) where intent not in (select id from intent) group by kind

-- name: last_intent
select coalesce(max(id), 0) from intent

-- name: names
select attempt from intent where id > :first

-- name: recent
select
  i.id, i.attempt, i.model, coalesce(nullif(i.upstream_key, ''), i.key), i.at, s.at, s.outcome, s.first_token_us, s.duration_us,
  s.completion_tokens
from intent i left join settlement s on s.intent = i.id
where i.id > :first and +i.at >= :since order by i.id

-- name: watched
select
  i.id, i.attempt, i.model, coalesce(nullif(i.upstream_key, ''), i.key), i.at, s.at, s.outcome, s.first_token_us, s.duration_us,
  s.completion_tokens
from intent i left join settlement s on s.intent = i.id
where i.id = :id and i.at >= :since

-- name: learnt
select model, outcome, at from learnt

-- name: callers_version
select version from callers_version

-- name: callers
select said from caller order by name

-- name: caller
select said from caller where name = ?

-- name: secrets
select digest, name, until from secret where until is null or until > ?

-- name: put_caller
insert into caller (name, said) values (?, ?)

-- name: change_caller
update caller set said = ?2 where name = ?1

-- name: forget_caller
delete from caller where name = ?

-- name: put_secret
insert into secret (digest, name) values (?, ?)

-- name: replace_secret
update secret set until = ?2 where name = ?1 and until is null

-- name: forget_secrets
delete from secret where name = ?

-- name: forget_old_secrets
delete from secret where until <= ?

-- name: match_put
insert into arena_match (id, owner, said, standing, holder, held_at) values (?, ?, ?, ?, ?, ?)

-- name: match_state
select number, holder, held_at, standing, (select max(seq) from arena_event where match = number)
from arena_match where id = ?

-- name: match_beginning
select id from arena_match where id >= :prefix and id < :prefix || '{' order by number desc limit 20

-- name: match_ids
select id from arena_match order by number desc limit 1000

-- name: match_kept
select m.said, m.standing, m.holder, m.held_at, e.seq, e.at, m.due
from arena_match m
join arena_event e on e.match = m.number and e.seq = (select max(seq) from arena_event where match = m.number)
where m.id = ?

-- name: match_list
select m.said, m.standing, m.holder, m.held_at, e.seq, e.at, m.due
from arena_match m
join arena_event e on e.match = m.number and e.seq = (select max(seq) from arena_event where match = m.number)
where m.number < :before order by m.number desc limit :limit

-- name: match_list_of
select m.said, m.standing, m.holder, m.held_at, e.seq, e.at, m.due
from arena_match m
join arena_event e on e.match = m.number and e.seq = (select max(seq) from arena_event where match = m.number)
where m.owner = :owner and m.number < :before order by m.number desc limit :limit

-- name: match_stands
update arena_match set standing = ?2 where number = ?1

-- name: match_comes_due
update arena_match set due = due + 1 where number = ?

-- name: match_recorded
update arena_match set due = 0 where number = ?1 and due = ?2

-- name: matches_due
select id from arena_match where due > 0 order by number

-- name: match_held
update arena_match set holder = ?2, held_at = ?3 where number = ?1

-- name: event_put
insert into arena_event (match, seq, at, body) values (?, ?, ?, ?)

-- name: events
select body from arena_event where match = ? and seq > ? order by seq limit ?

-- name: vote_put
insert into arena_vote (match, source, voter, round, said) values (?, ?, ?, ?, ?)
on conflict (match, source, voter, round) do update set said = excluded.said

-- name: votes
select said from arena_vote where match = ? order by number

-- name: result_put
insert into arena_result (match, source, task, first, second, score, at, said) values (?, ?, ?, ?, ?, ?, ?, ?)

-- name: results_drop
delete from arena_result where match = ? and source = ?

-- name: results
select said from arena_result where at >= :since and (:source = '' or source = :source) order by at, number

-- name: results_of
select said from arena_result
where task = :task and at >= :since and (:source = '' or source = :source) order by at, number

-- name: opinion_put
insert into arena_opinion (match, source, task, judge, at, said) values (?, ?, ?, ?, ?, ?)

-- name: opinions_drop
delete from arena_opinion where match = ? and source = ?

-- name: opinions
select said from arena_opinion where :task = '' or task = :task order by at, number

-- name: change_put
insert into arena_change (task, undoes, at, said) values (?, ?, ?, ?)

-- name: change_there
select (select undoes from arena_change where undoes = ?1) from arena_change where number = ?1

-- name: changes
select number, at, said from arena_change where :task = '' or task = :task order by number

-- name: arena_version
select version from arena_version

-- name: forget_match
delete from arena_match where number = ?

-- name: forget_events
delete from arena_event where match = ?

-- name: forget_votes
delete from arena_vote where match = ?

-- name: forget_results
delete from arena_result where match = ?

-- name: forget_opinions
delete from arena_opinion where match = ?
