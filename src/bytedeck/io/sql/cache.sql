-- name: schema
-- `held` is one row, so that nobody has to add up all sizes. Times are microseconds since 1970.
drop table if exists answers;
drop table if exists held;
create table answers (
    key blob not null primary key,
    value blob not null,
    at integer not null,
    until integer not null,
    used integer not null,
    size integer not null
);
create index answers_used on answers (used);
create index answers_until on answers (until);
create table held (bytes integer not null);
insert into held values (0);
create trigger answer_kept after insert on answers begin update held set bytes = bytes + new.size; end;
create trigger answer_gone after delete on answers begin update held set bytes = bytes - old.size; end;

-- name: find
select value, at, until from answers where key = ?;

-- name: touch
update answers set used = ? where key = ?;

-- name: keep
insert into answers (key, value, at, until, used, size) values (?, ?, ?, ?, ?, ?);

-- name: held
select bytes from held;

-- name: expire
delete from answers where until <= ?;

-- name: oldest
select key, size from answers order by used limit 100;

-- name: forget
delete from answers where key = ?;
