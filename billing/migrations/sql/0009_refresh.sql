-- The nightly job opens the day of a chunk of wallets with a few statements for all of them. What happens to
-- a wallet is what billing_lock_wallet and billing_start_day do to one.

-- Opens the day for up to p_limit wallets that were used lately, in order of their ids after p_after.
-- Answers how many it looked at, how many it opened and the last id; wallets somebody is working on are
-- skipped, since their owners open the day themselves.
CREATE OR REPLACE FUNCTION billing_refresh_allowances(
    p_after uuid, p_used_since date, p_limit integer, p_zone text, p_now timestamptz,
    OUT seen integer, OUT opened integer, OUT last_id uuid
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    moment timestamptz := coalesce(p_now, clock_timestamp());
    today date := (moment AT TIME ZONE p_zone)::date;
    midnight timestamptz := today::timestamp AT TIME ZONE p_zone;
    next_midnight timestamptz := (today + 1)::timestamp AT TIME ZONE p_zone;
    ids uuid[];
BEGIN
    SELECT array_agg(locked.user_id ORDER BY locked.user_id) INTO ids
      FROM (SELECT user_id FROM billing_wallet
             WHERE user_id > p_after AND day < today AND used_on >= p_used_since
             ORDER BY user_id LIMIT p_limit
               FOR NO KEY UPDATE SKIP LOCKED) locked;
    seen := coalesce(cardinality(ids), 0);
    opened := 0;
    last_id := coalesce(ids[seen], p_after);

    UPDATE billing_wallet
       SET (tier_id, tier_until) = (SELECT * FROM billing_entitlement(user_id, moment))
     WHERE user_id = ANY(ids) AND tier_until <= moment;

    -- One statement, so that the trigger on entries looks once for the whole chunk.
    WITH due AS (
        SELECT wallet.user_id, wallet.day AS over, wallet.daily_balance - wallet.daily_held AS lapsed,
               tier.daily_credits AS granted,
               p_zone = wallet.day_zone AND wallet.next_day_at <= midnight AS is_regular
          FROM billing_wallet wallet JOIN billing_tier tier ON tier.slug = wallet.tier_id
         WHERE wallet.user_id = ANY(ids) AND wallet.day < today
           AND moment >= (CASE WHEN p_zone = wallet.day_zone THEN wallet.next_day_at
                               ELSE wallet.opened_at + interval '20 hours' END)
    ), started AS (
        UPDATE billing_wallet wallet
           SET day = today, day_zone = p_zone, opened_at = moment,
               next_day_at = CASE WHEN due.is_regular THEN next_midnight
                                  ELSE greatest(next_midnight, moment + interval '20 hours') END,
               daily_granted = due.granted, messages_used = 0, day_spent = 0,
               daily_balance = daily_balance - due.lapsed + due.granted,
               day_number = last_number + (due.lapsed > 0)::int,
               last_number = last_number + (due.lapsed > 0)::int + (due.granted > 0)::int
          FROM due
         WHERE wallet.user_id = due.user_id
        RETURNING wallet.user_id, wallet.day_number, wallet.last_number, billing_balance(wallet) AS balance,
                  due.over, due.lapsed, due.granted
    ), line AS MATERIALIZED (
        SELECT uuidv7() AS id, sorted.*
          FROM (SELECT user_id, day_number AS number, 'lapse' AS kind, over AS of_day, balance - granted AS balance,
                       -lapsed AS amount, 'expired' AS account
                  FROM started WHERE lapsed > 0
                 UNION ALL
                SELECT user_id, last_number, 'allowance', today, balance, granted, 'allowance'
                  FROM started WHERE granted > 0
                 ORDER BY user_id, number) sorted
    ), posted AS (
        INSERT INTO billing_ledgertransaction (
            id, user_id, number, kind, key, amount, balance_after, reference, description, details, reason)
        SELECT id, user_id, number, kind, kind || ':' || user_id || ':' || of_day, amount, balance, '', '', '{}', ''
          FROM line
    ), entered AS (
        INSERT INTO billing_ledgerentry (transaction_id, account_id, direction, amount)
        SELECT line.id, own.id, sign(line.amount), abs(line.amount)
          FROM line LEFT JOIN billing_ledgeraccount own
            ON own.user_id = line.user_id AND own.name = 'daily' AND own.currency = 'credits'
         UNION ALL
        SELECT line.id, platform.id, -sign(line.amount), abs(line.amount)
          FROM line LEFT JOIN billing_ledgeraccount platform
            ON platform.user_id IS NULL AND platform.name = line.account AND platform.currency = 'credits'
    )
    SELECT count(*) INTO opened FROM started;
END $$;
