-- What is only estimated is asked for, too.
drop index settlement_unknown;
create index settlement_unsure on settlement (intent) where cost_units is null or quality = 'estimated';
