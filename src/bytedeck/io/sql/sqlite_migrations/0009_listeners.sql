-- Triggers cost each row a savepoint and a look, also where no budget was ever asked for: a quarter of what a request's
-- rows cost. So those that keep the accounts are made with the first account (`hear_intents` and `hear_settlements` of
-- sqlite.sql), in the same transaction; an account that is made anew is the sum of the rows that there are. What models
-- teach is written by whoever writes the settlement.
delete from account;
drop trigger intent_holds;
drop trigger settlement_spends;
drop trigger settlement_teaches;
