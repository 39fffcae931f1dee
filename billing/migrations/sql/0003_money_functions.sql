-- How credits move. Each use case is one function and so one round trip, in autocommit or as a step of its
-- caller's transaction.
--
-- Locks: a hold before its wallet, and a function touches one wallet; batches skip what is locked, so they
-- never wait. Whoever holds a wallet's row decides alone about its balances, holds and numbering.
-- Times: p_now is empty in production, which means the database's clock; tests pass a moment.
-- Accounts: amounts are signed in here, plus is a credit. Buckets are spent daily, bonus, purchased.

-- Adds one transaction and its entries, and answers the sum of the wallet's part. Callers have locked and
-- updated the wallet.
CREATE FUNCTION billing_post(
    p_wallet billing_wallet, p_number bigint, p_balance_after bigint, p_kind text, p_key text,
    p_accounts text[], p_amounts bigint[],
    p_reference text DEFAULT '', p_description text DEFAULT '', p_details jsonb DEFAULT '{}',
    p_actor uuid DEFAULT NULL, p_reason text DEFAULT ''
) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    new_id uuid := uuidv7();
BEGIN
    INSERT INTO billing_ledgertransaction (
        id, user_id, number, kind, key, amount, balance_after, reference, description, details, actor_id, reason)
    SELECT new_id, p_wallet.user_id, p_number, p_kind, p_key, coalesce(sum(line.amount), 0), p_balance_after,
           p_reference, p_description, p_details, p_actor, p_reason
      FROM unnest(p_accounts, p_amounts) AS line (name, amount)
     WHERE line.name IN ('daily', 'bonus', 'purchased');

    INSERT INTO billing_ledgerentry (transaction_id, account_id, direction, amount)
    SELECT new_id, coalesce(own.id, platform.id), sign(line.amount), abs(line.amount)
      FROM unnest(p_accounts, p_amounts) AS line (name, amount)
      LEFT JOIN billing_ledgeraccount own ON own.user_id = p_wallet.user_id AND own.name = line.name
      LEFT JOIN billing_ledgeraccount platform ON platform.user_id IS NULL AND platform.name = line.name
     WHERE line.amount <> 0;
    RETURN new_id;
END $$;

CREATE FUNCTION billing_balance(p_wallet billing_wallet) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_wallet.daily_balance + p_wallet.bonus_balance + p_wallet.purchased_balance
$$;

CREATE FUNCTION billing_available(p_wallet billing_wallet) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_wallet.daily_balance - p_wallet.daily_held + p_wallet.bonus_balance - p_wallet.bonus_held
         + p_wallet.purchased_balance - p_wallet.purchased_held
$$;

-- Begins a new day in a locked wallet: what is left of the old allowance lapses (held parts wait for their
-- holds), the new one is granted. The key makes a second allowance for a user and day impossible. The next
-- day begins at midnight; after a change of the zone, not within 20 hours of this moment.
CREATE FUNCTION billing_start_day(p_wallet billing_wallet, p_day date, p_zone text, moment timestamptz)
RETURNS billing_wallet
LANGUAGE plpgsql AS $$
DECLARE
    w billing_wallet;
    lapsed bigint := p_wallet.daily_balance - p_wallet.daily_held;
    granted bigint;
    midnight timestamptz := p_day::timestamp AT TIME ZONE p_zone;
    next_midnight timestamptz := (p_day + 1)::timestamp AT TIME ZONE p_zone;
    is_regular boolean := p_zone = p_wallet.day_zone AND p_wallet.next_day_at <= midnight;
BEGIN
    SELECT daily_credits INTO STRICT granted FROM billing_tier WHERE slug = p_wallet.tier_id;
    UPDATE billing_wallet
       SET day = p_day, day_zone = p_zone, opened_at = moment,
           next_day_at = CASE WHEN is_regular THEN next_midnight
                              ELSE greatest(next_midnight, moment + interval '20 hours') END,
           daily_granted = granted, messages_used = 0,
           daily_balance = daily_balance - lapsed + granted,
           day_number = last_number + (lapsed > 0)::int,
           last_number = last_number + (lapsed > 0)::int + (granted > 0)::int
     WHERE user_id = p_wallet.user_id
    RETURNING * INTO w;
    IF lapsed > 0 THEN
        PERFORM billing_post(
            w, w.day_number, billing_balance(w) - granted, 'lapse',
            'lapse:' || w.user_id || ':' || p_wallet.day, ARRAY['daily', 'expired'], ARRAY[-lapsed, lapsed]);
    END IF;
    IF granted > 0 THEN
        PERFORM billing_post(
            w, w.last_number, billing_balance(w), 'allowance', 'allowance:' || w.user_id || ':' || w.day,
            ARRAY['daily', 'allowance'], ARRAY[granted, -granted]);
    END IF;
    RETURN w;
END $$;

-- Makes the wallet and its three accounts where the user has none, as if it had last been opened yesterday.
CREATE FUNCTION billing_create_wallet(p_user uuid, p_today date, p_zone text, moment timestamptz)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing_wallet (
        user_id, tier_id, day, day_zone, opened_at, next_day_at, created_at, daily_balance, daily_held, bonus_balance, bonus_held,
        purchased_balance, purchased_held, daily_granted, messages_used, last_number, day_number)
    SELECT id, (SELECT slug FROM billing_tier ORDER BY position LIMIT 1), p_today - 1,
           p_zone, moment - interval '1 day', p_today::timestamp AT TIME ZONE p_zone, clock_timestamp(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
      FROM accounts_user WHERE id = p_user
    ON CONFLICT (user_id) DO NOTHING;
    IF FOUND THEN
        INSERT INTO billing_ledgeraccount (user_id, name, currency)
        SELECT p_user, name, 'credits' FROM unnest(ARRAY['daily', 'bonus', 'purchased']) AS name;
    END IF;
END $$;

-- Locks the user's wallet and answers it with today's allowance in it; NULL where there is no such user.
-- Days only go forward, and after a change of the time zone 20 hours lie between two of them, so neither a
-- clock set back nor another zone gives a second allowance.
CREATE FUNCTION billing_lock_wallet(p_user uuid, p_zone text, moment timestamptz) RETURNS billing_wallet
LANGUAGE plpgsql AS $$
DECLARE
    w billing_wallet;
    today date := (moment AT TIME ZONE p_zone)::date;
BEGIN
    SELECT * INTO w FROM billing_wallet WHERE user_id = p_user FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM billing_create_wallet(p_user, today, p_zone, moment);
        SELECT * INTO w FROM billing_wallet WHERE user_id = p_user FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    IF today > w.day
       AND moment >= (CASE WHEN p_zone = w.day_zone THEN w.next_day_at
                           ELSE w.opened_at + interval '20 hours' END)
    THEN
        RETURN billing_start_day(w, today, p_zone, moment);
    END IF;
    RETURN w;
END $$;

-- The same for callers who only want to see the wallet.
CREATE FUNCTION billing_open_wallet(p_user uuid, p_zone text, p_now timestamptz) RETURNS billing_wallet
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
BEGIN
    RETURN billing_lock_wallet(p_user, p_zone, coalesce(p_now, clock_timestamp()));
END $$;

-- Sets p_amount aside. Outcomes: held; replayed (this key's hold, whatever became of it); key_reused (the
-- key was used for another amount); no_wallet, suspended, message_limit, insufficient.
CREATE FUNCTION billing_reserve(
    p_user uuid, p_amount bigint, p_reference text, p_key text, p_ttl interval, p_counts_message boolean,
    p_zone text, p_now timestamptz,
    OUT outcome text, OUT hold_id uuid, OUT available bigint, OUT used integer, OUT "limit" integer
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    w billing_wallet;
    h billing_hold;
    moment timestamptz := coalesce(p_now, clock_timestamp());
    from_daily bigint;
    from_bonus bigint;
    from_purchased bigint;
BEGIN
    w := billing_lock_wallet(p_user, p_zone, moment);
    IF w.user_id IS NULL THEN
        outcome := 'no_wallet';
        RETURN;
    END IF;
    available := billing_available(w);
    SELECT * INTO h FROM billing_hold WHERE user_id = p_user AND key = p_key;
    IF FOUND THEN
        outcome := CASE WHEN h.daily + h.bonus + h.purchased = p_amount THEN 'replayed' ELSE 'key_reused' END;
        hold_id := h.id;
        RETURN;
    END IF;
    IF w.suspended_at IS NOT NULL THEN
        outcome := 'suspended';
        RETURN;
    END IF;
    IF p_counts_message THEN
        used := w.messages_used;
        SELECT messages_per_day INTO STRICT "limit" FROM billing_tier WHERE slug = w.tier_id;
        IF used >= "limit" THEN
            outcome := 'message_limit';
            RETURN;
        END IF;
    END IF;
    IF p_amount > available THEN
        outcome := 'insufficient';
        RETURN;
    END IF;
    from_daily := least(p_amount, w.daily_balance - w.daily_held);
    from_bonus := least(p_amount - from_daily, w.bonus_balance - w.bonus_held);
    from_purchased := p_amount - from_daily - from_bonus;
    UPDATE billing_wallet
       SET daily_held = daily_held + from_daily, bonus_held = bonus_held + from_bonus,
           purchased_held = purchased_held + from_purchased,
           messages_used = messages_used + p_counts_message::int, used_on = w.day
     WHERE user_id = p_user;
    INSERT INTO billing_hold (
        id, user_id, key, reference, state, daily, bonus, purchased, day, captured, written_off, counts_message,
        created_at, expires_at, reason)
    VALUES (uuidv7(), p_user, p_key, p_reference, 'held', from_daily, from_bonus, from_purchased, w.day, 0, 0,
            p_counts_message, moment, moment + p_ttl, '')
    RETURNING id INTO hold_id;
    outcome := 'held';
    available := available - p_amount;
END $$;

-- Takes a resolved hold out of its wallet: p_charged of it is paid, the rest goes back to where it came
-- from, except daily credits of a day that is over, which lapse at once. p_excess was worked but not held:
-- it is booked as earned and lost.
CREATE FUNCTION billing_settle(
    p_hold billing_hold, p_charged bigint, p_excess bigint, p_reference text, p_description text, p_details jsonb,
    p_zone text, p_now timestamptz
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    w billing_wallet := billing_lock_wallet(p_hold.user_id, p_zone, p_now);
    from_daily bigint := least(p_charged, p_hold.daily);
    from_bonus bigint := least(p_charged - from_daily, p_hold.bonus);
    from_purchased bigint := p_charged - from_daily - from_bonus;
    lapsed bigint := CASE WHEN w.day > p_hold.day THEN p_hold.daily - from_daily ELSE 0 END;
    is_posted boolean := p_charged + p_excess > 0;
BEGIN
    UPDATE billing_wallet
       SET daily_held = daily_held - p_hold.daily, daily_balance = daily_balance - from_daily - lapsed,
           bonus_held = bonus_held - p_hold.bonus, bonus_balance = bonus_balance - from_bonus,
           purchased_held = purchased_held - p_hold.purchased,
           purchased_balance = purchased_balance - from_purchased,
           last_number = last_number + is_posted::int + (lapsed > 0)::int
     WHERE user_id = p_hold.user_id
    RETURNING * INTO w;
    IF is_posted THEN
        PERFORM billing_post(
            w, w.last_number - (lapsed > 0)::int, billing_balance(w) + lapsed, 'charge', 'charge:' || p_hold.id,
            ARRAY['daily', 'bonus', 'purchased', 'revenue', 'write_off'],
            ARRAY[-from_daily, -from_bonus, -from_purchased, p_charged + p_excess, -p_excess],
            p_reference, p_description, p_details);
    END IF;
    IF lapsed > 0 THEN
        PERFORM billing_post(
            w, w.last_number, billing_balance(w), 'lapse', 'lapse:' || p_hold.id,
            ARRAY['daily', 'expired'], ARRAY[-lapsed, lapsed], p_reference);
    END IF;
    RETURN billing_available(w);
END $$;

-- Charges p_amount against a hold, at most what it holds. Outcomes: captured; late (the hold had expired:
-- everything is written off, once); resolved (it had ended before: nothing changes, the answer is what
-- happened then); no_hold.
CREATE FUNCTION billing_capture(
    p_hold uuid, p_amount bigint, p_reference text, p_description text, p_details jsonb, p_zone text,
    p_now timestamptz,
    OUT outcome text, OUT state text, OUT charged bigint, OUT written_off bigint, OUT available bigint,
    OUT user_id uuid
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    h billing_hold;
    w billing_wallet;
    moment timestamptz := coalesce(p_now, clock_timestamp());
BEGIN
    UPDATE billing_hold hold
       SET state = 'captured', captured = least(p_amount, hold.daily + hold.bonus + hold.purchased),
           written_off = greatest(p_amount - (hold.daily + hold.bonus + hold.purchased), 0), resolved_at = moment
     WHERE hold.id = p_hold AND hold.state = 'held'
    RETURNING * INTO h;
    IF FOUND THEN
        outcome := 'captured';
        available := billing_settle(
            h, h.captured, h.written_off, p_reference, p_description, p_details, p_zone, moment);
    ELSE
        -- An expired hold takes one late capture: its price becomes the platform's loss.
        UPDATE billing_hold hold SET written_off = p_amount
         WHERE hold.id = p_hold AND hold.state = 'expired' AND hold.written_off = 0 AND p_amount > 0
        RETURNING * INTO h;
        outcome := CASE WHEN FOUND THEN 'late' ELSE 'resolved' END;
        IF NOT FOUND THEN
            SELECT * INTO h FROM billing_hold hold WHERE hold.id = p_hold;
            IF NOT FOUND THEN
                outcome := 'no_hold';
                RETURN;
            END IF;
        END IF;
        w := billing_lock_wallet(h.user_id, p_zone, moment);
        IF outcome = 'late' THEN
            UPDATE billing_wallet wallet SET last_number = last_number + 1
             WHERE wallet.user_id = h.user_id RETURNING * INTO w;
            PERFORM billing_post(
                w, w.last_number, billing_balance(w), 'write_off', 'write_off:' || h.id,
                ARRAY['revenue', 'write_off'], ARRAY[h.written_off, -h.written_off],
                p_reference, p_description, p_details);
        END IF;
        available := billing_available(w);
    END IF;
    state := h.state;
    charged := h.captured;
    written_off := h.written_off;
    user_id := h.user_id;
END $$;

-- Gives a hold back. Outcomes: released; resolved (it had ended before: nothing changes); no_hold.
CREATE FUNCTION billing_release(
    p_hold uuid, p_reason text, p_zone text, p_now timestamptz,
    OUT outcome text, OUT state text, OUT charged bigint, OUT written_off bigint, OUT available bigint,
    OUT user_id uuid
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    h billing_hold;
    moment timestamptz := coalesce(p_now, clock_timestamp());
BEGIN
    UPDATE billing_hold hold SET state = 'released', reason = p_reason, resolved_at = moment
     WHERE hold.id = p_hold AND hold.state = 'held'
    RETURNING * INTO h;
    IF FOUND THEN
        outcome := 'released';
        available := billing_settle(h, 0, 0, h.reference, '', '{}', p_zone, moment);
    ELSE
        SELECT * INTO h FROM billing_hold hold WHERE hold.id = p_hold;
        IF NOT FOUND THEN
            outcome := 'no_hold';
            RETURN;
        END IF;
        outcome := 'resolved';
        available := billing_available(billing_lock_wallet(h.user_id, p_zone, moment));
    END IF;
    state := h.state;
    charged := h.captured;
    written_off := h.written_off;
    user_id := h.user_id;
END $$;

-- Ends up to p_limit holds whose time is over and answers whose they were. A hold or a wallet somebody is
-- working on is left for the next round.
CREATE FUNCTION billing_expire_holds(p_limit integer, p_zone text, p_now timestamptz)
RETURNS TABLE (hold_id uuid, owner_id uuid, available bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    h billing_hold;
    moment timestamptz := coalesce(p_now, clock_timestamp());
BEGIN
    FOR h IN
        SELECT hold.* FROM billing_hold hold
         WHERE hold.state = 'held' AND hold.expires_at <= moment
         ORDER BY hold.expires_at LIMIT p_limit
           FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM FROM billing_wallet wallet WHERE wallet.user_id = h.user_id FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        UPDATE billing_hold hold SET state = 'expired', reason = 'expired', resolved_at = moment
         WHERE hold.id = h.id AND hold.state = 'held';
        CONTINUE WHEN NOT FOUND;
        hold_id := h.id;
        owner_id := h.user_id;
        available := billing_settle(h, 0, 0, h.reference, '', '{}', p_zone, moment);
        RETURN NEXT;
    END LOOP;
END $$;

-- Puts p_amount into a bucket (or takes it out, when negative) against a platform account. The key names the
-- business object, so it happens once. Outcomes: posted; replayed; key_reused; insufficient; no_wallet.
CREATE FUNCTION billing_grant(
    p_user uuid, p_bucket text, p_amount bigint, p_kind text, p_account text, p_key text, p_reference text,
    p_description text, p_actor uuid, p_reason text, p_zone text, p_now timestamptz,
    OUT outcome text, OUT transaction_id uuid, OUT available bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    w billing_wallet;
    earlier billing_ledgertransaction;
    spendable bigint;
BEGIN
    IF p_bucket NOT IN ('bonus', 'purchased') OR p_amount = 0 THEN
        RAISE EXCEPTION 'nothing can be granted as % %', p_amount, p_bucket USING ERRCODE = 'check_violation';
    END IF;
    w := billing_lock_wallet(p_user, p_zone, coalesce(p_now, clock_timestamp()));
    IF w.user_id IS NULL THEN
        outcome := 'no_wallet';
        RETURN;
    END IF;
    available := billing_available(w);
    SELECT * INTO earlier FROM billing_ledgertransaction t WHERE t.key = p_key;
    IF FOUND THEN
        outcome := CASE WHEN (earlier.user_id, earlier.kind, earlier.amount) = (p_user, p_kind, p_amount)
                        THEN 'replayed' ELSE 'key_reused' END;
        transaction_id := earlier.id;
        RETURN;
    END IF;
    spendable := CASE p_bucket WHEN 'bonus' THEN w.bonus_balance - w.bonus_held
                               ELSE w.purchased_balance - w.purchased_held END;
    IF spendable + p_amount < 0 THEN
        outcome := 'insufficient';
        available := spendable;
        RETURN;
    END IF;
    UPDATE billing_wallet
       SET bonus_balance = bonus_balance + CASE p_bucket WHEN 'bonus' THEN p_amount ELSE 0 END,
           purchased_balance = purchased_balance + CASE p_bucket WHEN 'purchased' THEN p_amount ELSE 0 END,
           last_number = last_number + 1
     WHERE user_id = p_user
    RETURNING * INTO w;
    transaction_id := billing_post(
        w, w.last_number, billing_balance(w), p_kind, p_key, ARRAY[p_bucket, p_account],
        ARRAY[p_amount, -p_amount], p_reference, p_description, '{}', p_actor, p_reason);
    outcome := 'posted';
    available := billing_available(w);
END $$;

-- Moves a user to a tier. A larger allowance counts from today: the difference to what today already gave
-- is added, so going down and up again adds nothing. Answers NULL where there is no such user.
CREATE FUNCTION billing_set_tier(p_user uuid, p_tier text, p_actor uuid, p_reason text, p_zone text, p_now timestamptz)
RETURNS billing_wallet
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    w billing_wallet := billing_lock_wallet(p_user, p_zone, coalesce(p_now, clock_timestamp()));
    raise_by bigint;
BEGIN
    IF w.user_id IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT greatest(daily_credits - w.daily_granted, 0) INTO STRICT raise_by FROM billing_tier WHERE slug = p_tier;
    UPDATE billing_wallet
       SET tier_id = p_tier, daily_granted = daily_granted + raise_by, daily_balance = daily_balance + raise_by,
           last_number = last_number + (raise_by > 0)::int
     WHERE user_id = p_user
    RETURNING * INTO w;
    IF raise_by > 0 THEN
        PERFORM billing_post(
            w, w.last_number, billing_balance(w), 'upgrade',
            'upgrade:' || p_user || ':' || w.day || ':' || w.daily_granted,
            ARRAY['daily', 'allowance'], ARRAY[raise_by, -raise_by], p_tier, '', '{}', p_actor, p_reason);
    END IF;
    RETURN w;
END $$;

-- Opens the day for up to p_limit wallets that were used lately, in order of their ids after p_after.
-- Answers how many it looked at, how many it opened and the last id; wallets somebody is working on are
-- skipped, since their owners open the day themselves.
CREATE FUNCTION billing_refresh_allowances(
    p_after uuid, p_used_since date, p_limit integer, p_zone text, p_now timestamptz,
    OUT seen integer, OUT opened integer, OUT last_id uuid
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    w billing_wallet;
    moment timestamptz := coalesce(p_now, clock_timestamp());
    today date := (moment AT TIME ZONE p_zone)::date;
BEGIN
    seen := 0;
    opened := 0;
    last_id := p_after;
    FOR w IN
        SELECT * FROM billing_wallet
         WHERE user_id > p_after AND day < today AND used_on >= p_used_since
         ORDER BY user_id LIMIT p_limit
           FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        seen := seen + 1;
        last_id := w.user_id;
        opened := opened + ((billing_lock_wallet(w.user_id, p_zone, moment)).day > w.day)::int;
    END LOOP;
END $$;

-- Nobody but the owner and the application's role may call what moves credits.
DO $$
DECLARE
    entry regprocedure;
BEGIN
    FOR entry IN
        SELECT oid::regprocedure FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'billing\_%' AND prosecdef
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', entry);
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'parlor_app') THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO parlor_app', entry);
        END IF;
    END LOOP;
END $$;
