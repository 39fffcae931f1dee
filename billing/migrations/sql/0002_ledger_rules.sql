-- What the ledger promises whoever writes to it, the owner of the tables included.

-- Rows of the ledger are only ever added.
CREATE FUNCTION billing_refuse_rewrite() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER ledger_account_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_ledgeraccount
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_rewrite();
CREATE TRIGGER ledger_transaction_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_ledgertransaction
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_rewrite();
CREATE TRIGGER ledger_entry_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_rewrite();

-- Entries arrive whole: the entries of a transaction are added by one statement, sum to zero in each
-- currency (which takes at least two of them, since amounts are positive), and name rows that exist.
-- One look for all entries of the statement; a row trigger would look once for each. The sub-selects are
-- there to be answered by an index whatever the planner knows of the tables; as joins they might not be.
CREATE FUNCTION billing_check_entries() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    fault uuid;
BEGIN
    SELECT line.transaction_id INTO fault
      FROM (SELECT transaction_id, direction * amount AS amount,
                   (SELECT currency FROM billing_ledgeraccount account WHERE account.id = account_id) AS currency
              FROM added) line
     GROUP BY line.transaction_id, line.currency
    HAVING sum(line.amount) <> 0 OR line.currency IS NULL
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger transaction % does not balance', fault USING ERRCODE = 'check_violation';
    END IF;
    SELECT batch.transaction_id INTO fault
      FROM (SELECT transaction_id, count(*) AS entries FROM added GROUP BY transaction_id) batch
     WHERE batch.entries <> (SELECT count(*) FROM billing_ledgerentry entry
                              WHERE entry.transaction_id = batch.transaction_id)
        OR (SELECT count(*) FROM billing_ledgertransaction parent WHERE parent.id = batch.transaction_id) = 0
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the entries of ledger transaction % must be added together and once', fault
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_entries_balance
    AFTER INSERT ON billing_ledgerentry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION billing_check_entries();

-- At commit no transaction is without entries; together with the trigger above: each sums to zero.
CREATE FUNCTION billing_check_transaction() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM billing_ledgerentry WHERE transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'ledger transaction % has no entries', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER ledger_transaction_has_entries
    AFTER INSERT ON billing_ledgertransaction DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing_check_transaction();

-- Wallets change at every charge and holds twice: room in the page keeps such updates in it.
ALTER TABLE billing_wallet SET (fillfactor = 60);
ALTER TABLE billing_hold SET (fillfactor = 80);

-- The application's role reads money and moves it through the functions of the next migration only. Where
-- one role does everything (it owns the tables then), the triggers above still bind it.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'parlor_app') THEN
        REVOKE INSERT, UPDATE, DELETE, TRUNCATE
            ON billing_ledgeraccount, billing_ledgertransaction, billing_ledgerentry, billing_hold, billing_wallet
            FROM parlor_app;
        GRANT UPDATE (suspended_at) ON billing_wallet TO parlor_app;
    END IF;
END $$;
