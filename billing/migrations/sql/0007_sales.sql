-- Debts, frozen credits, tiers that end, and the owner's own limits in the functions of 0003; payments,
-- refunds and disputes. Written anew are only functions that change.

-- Accounts in currencies: the entries of a payment are credits and money side by side, and each sums to zero.
DROP FUNCTION billing_post;
CREATE FUNCTION billing_post(
    p_wallet billing_wallet, p_number bigint, p_balance_after bigint, p_kind text, p_key text,
    p_accounts text[], p_amounts bigint[],
    p_reference text DEFAULT '', p_description text DEFAULT '', p_details jsonb DEFAULT '{}',
    p_actor uuid DEFAULT NULL, p_reason text DEFAULT '', p_currencies text[] DEFAULT NULL
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
      FROM unnest(p_accounts, p_amounts, p_currencies) AS line (name, amount, currency)
      LEFT JOIN billing_ledgeraccount own ON own.user_id = p_wallet.user_id AND own.name = line.name
      LEFT JOIN billing_ledgeraccount platform
             ON platform.user_id IS NULL AND platform.name = line.name
            AND platform.currency = coalesce(line.currency, 'credits')
     WHERE line.amount <> 0;
    RETURN new_id;
END $$;

-- Makes accounts of a user, or of the platform, that are not needed by everybody.
CREATE FUNCTION billing_need_account(p_user uuid, p_name text, p_currency text DEFAULT 'credits') RETURNS void
LANGUAGE sql AS $$
    INSERT INTO billing_ledgeraccount (user_id, name, currency) VALUES (p_user, p_name, p_currency)
    ON CONFLICT DO NOTHING
$$;

-- What can be spent: nothing while something is owed.
CREATE OR REPLACE FUNCTION billing_available(p_wallet billing_wallet) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_wallet.debt > 0 THEN 0
                ELSE p_wallet.daily_balance - p_wallet.daily_held + p_wallet.bonus_balance - p_wallet.bonus_held
                     + p_wallet.purchased_balance - p_wallet.purchased_held END
$$;

-- The best tier subscriptions give a user at a moment, and until when; the first tier where none does.
CREATE FUNCTION billing_entitlement(p_user uuid, moment timestamptz, OUT tier text, OUT until timestamptz)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT own.tier_id, own.entitled_until INTO tier, until
      FROM billing_subscription own JOIN billing_tier ON billing_tier.slug = own.tier_id
     WHERE own.user_id = p_user AND own.entitled_until > moment
     ORDER BY billing_tier.position DESC, own.entitled_until DESC LIMIT 1;
    IF tier IS NULL THEN
        SELECT slug INTO tier FROM billing_tier ORDER BY position LIMIT 1;
    END IF;
END $$;

-- The tier that counts now, for readers who do not lock the wallet.
CREATE FUNCTION billing_tier_now(p_user uuid, p_now timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    kept text;
    ends timestamptz;
BEGIN
    SELECT tier_id, tier_until INTO kept, ends FROM billing_wallet WHERE user_id = p_user;
    IF FOUND AND (ends IS NULL OR ends > coalesce(p_now, clock_timestamp())) THEN
        RETURN kept;
    END IF;
    RETURN (billing_entitlement(p_user, coalesce(p_now, clock_timestamp()))).tier;
END $$;

-- Begins a new day in a locked wallet: what is left of the old allowance lapses (held parts wait for their
-- holds), the new one is granted. The key makes a second allowance for a user and day impossible. The next
-- day begins at midnight; after a change of the zone, not within 20 hours of this moment.
CREATE OR REPLACE FUNCTION billing_start_day(p_wallet billing_wallet, p_day date, p_zone text, moment timestamptz)
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
           daily_granted = granted, messages_used = 0, day_spent = 0,
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

-- Puts the tier that subscriptions give now into a locked wallet. A larger allowance counts from today: the
-- difference to what today already gave is added, so going down and up again adds nothing.
CREATE FUNCTION billing_apply_tier(p_wallet billing_wallet, p_actor uuid, p_reason text, moment timestamptz)
RETURNS billing_wallet
LANGUAGE plpgsql AS $$
DECLARE
    w billing_wallet;
    given record := billing_entitlement(p_wallet.user_id, moment);
    raise_by bigint;
BEGIN
    SELECT greatest(daily_credits - p_wallet.daily_granted, 0) INTO STRICT raise_by
      FROM billing_tier WHERE slug = given.tier;
    UPDATE billing_wallet
       SET tier_id = given.tier, tier_until = given.until, daily_granted = daily_granted + raise_by,
           daily_balance = daily_balance + raise_by, last_number = last_number + (raise_by > 0)::int
     WHERE user_id = p_wallet.user_id
    RETURNING * INTO w;
    IF raise_by > 0 THEN
        PERFORM billing_post(
            w, w.last_number, billing_balance(w), 'upgrade',
            'upgrade:' || w.user_id || ':' || w.day || ':' || w.daily_granted,
            ARRAY['daily', 'allowance'], ARRAY[raise_by, -raise_by], given.tier, '', '{}', p_actor, p_reason);
    END IF;
    RETURN w;
END $$;

-- Locks the user's wallet and answers it with today's allowance and its present tier in it; NULL where there is no such user.
-- Days only go forward, and after a change of the time zone 20 hours lie between two of them, so neither a
-- clock set back nor another zone gives a second allowance.
CREATE OR REPLACE FUNCTION billing_lock_wallet(p_user uuid, p_zone text, moment timestamptz) RETURNS billing_wallet
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
    IF w.tier_until <= moment THEN
        -- Before the day, whose allowance is the tier's; it was a smaller one's if another gives less.
        UPDATE billing_wallet SET (tier_id, tier_until) = (SELECT * FROM billing_entitlement(p_user, moment))
         WHERE user_id = p_user RETURNING * INTO w;
    END IF;
    IF today > w.day
       AND moment >= (CASE WHEN p_zone = w.day_zone THEN w.next_day_at
                           ELSE w.opened_at + interval '20 hours' END)
    THEN
        RETURN billing_start_day(w, today, p_zone, moment);
    END IF;
    RETURN w;
END $$;

-- Sets p_amount aside. Outcomes: held; replayed (this key's hold, whatever became of it); key_reused (the
-- key was used for another amount); no_wallet, suspended, paused, message_limit, message_cap and day_cap (with
-- the cap as available), owing (with what is owed as available), insufficient.
CREATE OR REPLACE FUNCTION billing_reserve(
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
    IF w.paused_at IS NOT NULL THEN
        outcome := 'paused';
        RETURN;
    END IF;
    IF w.debt > 0 THEN
        outcome := 'owing';
        available := w.debt;
        RETURN;
    END IF;
    IF p_amount > w.message_cap THEN
        outcome := 'message_cap';
        available := w.message_cap;
        RETURN;
    END IF;
    IF p_amount + w.day_spent + w.daily_held + w.bonus_held + w.purchased_held > w.day_cap THEN
        outcome := 'day_cap';
        available := w.day_cap;
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
-- it is booked as earned and lost. What goes back pays off what is owed.
CREATE OR REPLACE FUNCTION billing_settle(
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
    repaid_bonus bigint := least(w.debt, p_hold.bonus - from_bonus);
    repaid_purchased bigint := least(w.debt - repaid_bonus, p_hold.purchased - from_purchased);
    repaid bigint := repaid_bonus + repaid_purchased;
BEGIN
    UPDATE billing_wallet
       SET daily_held = daily_held - p_hold.daily, daily_balance = daily_balance - from_daily - lapsed,
           bonus_held = bonus_held - p_hold.bonus, bonus_balance = bonus_balance - from_bonus - repaid_bonus,
           purchased_held = purchased_held - p_hold.purchased,
           purchased_balance = purchased_balance - from_purchased - repaid_purchased,
           debt = debt - repaid, day_spent = day_spent + p_charged,
           last_number = last_number + is_posted::int + (lapsed > 0)::int + (repaid > 0)::int
     WHERE user_id = p_hold.user_id
    RETURNING * INTO w;
    IF is_posted THEN
        PERFORM billing_post(
            w, w.last_number - (lapsed > 0)::int - (repaid > 0)::int, billing_balance(w) + lapsed + repaid,
            'charge', 'charge:' || p_hold.id,
            ARRAY['daily', 'bonus', 'purchased', 'revenue', 'write_off'],
            ARRAY[-from_daily, -from_bonus, -from_purchased, p_charged + p_excess, -p_excess],
            p_reference, p_description, p_details);
    END IF;
    IF lapsed > 0 THEN
        PERFORM billing_post(
            w, w.last_number - (repaid > 0)::int, billing_balance(w) + repaid, 'lapse', 'lapse:' || p_hold.id,
            ARRAY['daily', 'expired'], ARRAY[-lapsed, lapsed], p_reference);
    END IF;
    IF repaid > 0 THEN
        PERFORM billing_post(
            w, w.last_number, billing_balance(w), 'debt_paid', 'debt_paid:' || p_hold.id,
            ARRAY['bonus', 'purchased', 'debt'], ARRAY[-repaid_bonus, -repaid_purchased, repaid], p_reference);
    END IF;
    RETURN billing_available(w);
END $$;

-- Puts p_amount into a bucket (or takes it out, when negative) against a platform account. The key names the
-- business object, so it happens once. What comes in pays off what is owed first. Outcomes: posted; replayed; key_reused; insufficient; no_wallet.
CREATE OR REPLACE FUNCTION billing_grant(
    p_user uuid, p_bucket text, p_amount bigint, p_kind text, p_account text, p_key text, p_reference text,
    p_description text, p_actor uuid, p_reason text, p_zone text, p_now timestamptz,
    OUT outcome text, OUT transaction_id uuid, OUT available bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    w billing_wallet;
    earlier billing_ledgertransaction;
    spendable bigint;
    repaid bigint;
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
        outcome := CASE WHEN (earlier.user_id, earlier.kind, coalesce((earlier.details->>'given')::bigint, earlier.amount))
                             = (p_user, p_kind, p_amount)
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
    repaid := greatest(least(w.debt, p_amount), 0);
    UPDATE billing_wallet
       SET bonus_balance = bonus_balance + CASE p_bucket WHEN 'bonus' THEN p_amount - repaid ELSE 0 END,
           purchased_balance = purchased_balance + CASE p_bucket WHEN 'purchased' THEN p_amount - repaid ELSE 0 END,
           debt = debt - repaid, last_number = last_number + 1
     WHERE user_id = p_user
    RETURNING * INTO w;
    transaction_id := billing_post(
        w, w.last_number, billing_balance(w), p_kind, p_key, ARRAY[p_bucket, 'debt', p_account],
        ARRAY[p_amount - repaid, repaid, -p_amount], p_reference, p_description,
        CASE WHEN repaid > 0 THEN jsonb_build_object('given', p_amount) ELSE '{}' END, p_actor, p_reason);
    outcome := 'posted';
    available := billing_available(w);
END $$;

-- Brings a wallet's tier in line with the user's subscriptions. Answers NULL where there is no such user.
DROP FUNCTION billing_set_tier;
CREATE FUNCTION billing_refresh_tier(p_user uuid, p_actor uuid, p_reason text, p_zone text, p_now timestamptz)
RETURNS billing_wallet
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    moment timestamptz := coalesce(p_now, clock_timestamp());
    w billing_wallet := billing_lock_wallet(p_user, p_zone, moment);
BEGIN
    IF w.user_id IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN billing_apply_tier(w, p_actor, p_reason, moment);
END $$;

-- Books a payment: the money in its currency, and the credits it gives, which pay off what is owed first.
-- Outcomes: posted; replayed (the key was booked before); no_wallet.
CREATE FUNCTION billing_book_payment(
    p_user uuid, p_bucket text, p_credits bigint, p_kind text, p_key text, p_reference text, p_description text,
    p_details jsonb, p_currency text, p_amount bigint, p_tax bigint, p_zone text, p_now timestamptz,
    OUT outcome text, OUT transaction_id uuid, OUT available bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    w billing_wallet := billing_lock_wallet(p_user, p_zone, coalesce(p_now, clock_timestamp()));
    repaid bigint;
BEGIN
    IF p_bucket NOT IN ('bonus', 'purchased') OR p_credits < 0 OR p_amount < 0 OR p_tax NOT BETWEEN 0 AND p_amount THEN
        RAISE EXCEPTION 'no payment is like this' USING ERRCODE = 'check_violation';
    END IF;
    IF w.user_id IS NULL THEN
        outcome := 'no_wallet';
        RETURN;
    END IF;
    available := billing_available(w);
    SELECT t.id INTO transaction_id FROM billing_ledgertransaction t WHERE t.key = p_key;
    IF FOUND OR p_credits + p_amount = 0 THEN
        outcome := 'replayed';
        RETURN;
    END IF;
    PERFORM billing_need_account(NULL, name, p_currency) FROM unnest(ARRAY['store', 'sales', 'tax']) AS name;
    repaid := least(w.debt, p_credits);
    UPDATE billing_wallet
       SET bonus_balance = bonus_balance + CASE p_bucket WHEN 'bonus' THEN p_credits - repaid ELSE 0 END,
           purchased_balance = purchased_balance + CASE p_bucket WHEN 'purchased' THEN p_credits - repaid ELSE 0 END,
           debt = debt - repaid, last_number = last_number + 1
     WHERE user_id = p_user
    RETURNING * INTO w;
    transaction_id := billing_post(
        w, w.last_number, billing_balance(w), p_kind, p_key,
        ARRAY[p_bucket, 'debt', 'sold', 'store', 'sales', 'tax'],
        ARRAY[p_credits - repaid, repaid, -p_credits, p_amount, p_tax - p_amount, -p_tax],
        p_reference, p_description, p_details, NULL, '',
        ARRAY[NULL, NULL, NULL, p_currency, p_currency, p_currency]);
    outcome := 'posted';
    available := billing_available(w);
END $$;

-- Books money that went back, and takes the credits it gave: from the bucket they went to, then from the other
-- one, and what has been spent by now is owed. Outcomes: posted; replayed; no_wallet.
CREATE FUNCTION billing_book_return(
    p_user uuid, p_bucket text, p_credits bigint, p_kind text, p_key text, p_reference text, p_description text,
    p_currency text, p_amount bigint, p_tax bigint, p_zone text, p_now timestamptz,
    OUT outcome text, OUT transaction_id uuid, OUT available bigint, OUT owed bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    w billing_wallet := billing_lock_wallet(p_user, p_zone, coalesce(p_now, clock_timestamp()));
    from_bonus bigint;
    from_purchased bigint;
BEGIN
    IF p_bucket NOT IN ('bonus', 'purchased') OR p_credits < 0 OR p_amount < 0 OR p_tax NOT BETWEEN 0 AND p_amount THEN
        RAISE EXCEPTION 'no refund is like this' USING ERRCODE = 'check_violation';
    END IF;
    IF w.user_id IS NULL THEN
        outcome := 'no_wallet';
        RETURN;
    END IF;
    available := billing_available(w);
    SELECT t.id, coalesce((t.details->>'owed')::bigint, 0) INTO transaction_id, owed
      FROM billing_ledgertransaction t WHERE t.key = p_key;
    IF FOUND OR p_credits + p_amount = 0 THEN
        outcome := 'replayed';
        owed := coalesce(owed, 0);
        RETURN;
    END IF;
    from_bonus := least(p_credits, w.bonus_balance - w.bonus_held);
    from_purchased := least(p_credits, w.purchased_balance - w.purchased_held);
    IF p_bucket = 'bonus' THEN
        from_purchased := least(from_purchased, p_credits - from_bonus);
    ELSE
        from_bonus := least(from_bonus, p_credits - from_purchased);
    END IF;
    owed := p_credits - from_bonus - from_purchased;
    IF owed > 0 THEN
        PERFORM billing_need_account(p_user, 'debt');
    END IF;
    PERFORM billing_need_account(NULL, name, p_currency) FROM unnest(ARRAY['store', 'sales', 'tax']) AS name;
    UPDATE billing_wallet
       SET bonus_balance = bonus_balance - from_bonus, purchased_balance = purchased_balance - from_purchased,
           debt = debt + owed, last_number = last_number + 1
     WHERE user_id = p_user
    RETURNING * INTO w;
    transaction_id := billing_post(
        w, w.last_number, billing_balance(w), p_kind, p_key,
        ARRAY['bonus', 'purchased', 'debt', 'sold', 'store', 'sales', 'tax'],
        ARRAY[-from_bonus, -from_purchased, -owed, p_credits, -p_amount, p_amount - p_tax, p_tax],
        p_reference, p_description, jsonb_build_object('owed', owed), NULL, '',
        ARRAY[NULL, NULL, NULL, NULL, p_currency, p_currency, p_currency]);
    outcome := 'posted';
    available := billing_available(w);
END $$;

-- Sets up to p_credits aside while a bank decides, from p_bucket first. Outcomes: posted; replayed; no_wallet.
CREATE FUNCTION billing_freeze(
    p_user uuid, p_bucket text, p_credits bigint, p_key text, p_reference text, p_zone text, p_now timestamptz,
    OUT outcome text, OUT bonus bigint, OUT purchased bigint, OUT available bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    w billing_wallet := billing_lock_wallet(p_user, p_zone, coalesce(p_now, clock_timestamp()));
BEGIN
    bonus := 0;
    purchased := 0;
    IF w.user_id IS NULL THEN
        outcome := 'no_wallet';
        RETURN;
    END IF;
    available := billing_available(w);
    IF EXISTS (SELECT FROM billing_ledgertransaction t WHERE t.key = p_key) THEN
        outcome := 'replayed';
        RETURN;
    END IF;
    outcome := 'posted';
    bonus := least(p_credits, w.bonus_balance - w.bonus_held);
    purchased := least(p_credits, w.purchased_balance - w.purchased_held);
    IF p_bucket = 'bonus' THEN
        purchased := least(purchased, p_credits - bonus);
    ELSE
        bonus := least(bonus, p_credits - purchased);
    END IF;
    IF bonus + purchased <= 0 THEN
        RETURN;
    END IF;
    PERFORM billing_need_account(p_user, 'frozen');
    UPDATE billing_wallet wallet
       SET bonus_balance = bonus_balance - bonus, purchased_balance = purchased_balance - purchased,
           frozen = frozen + bonus + purchased, last_number = last_number + 1
     WHERE wallet.user_id = p_user
    RETURNING * INTO w;
    PERFORM billing_post(
        w, w.last_number, billing_balance(w), 'freeze', p_key, ARRAY['bonus', 'purchased', 'frozen'],
        ARRAY[-bonus, -purchased, bonus + purchased], p_reference);
    available := billing_available(w);
END $$;

-- Gives frozen credits back to where they came from; what is owed is paid off first. Outcomes: posted;
-- replayed; no_wallet.
CREATE FUNCTION billing_unfreeze(
    p_user uuid, p_bonus bigint, p_purchased bigint, p_key text, p_reference text, p_zone text, p_now timestamptz,
    OUT outcome text, OUT available bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    w billing_wallet := billing_lock_wallet(p_user, p_zone, coalesce(p_now, clock_timestamp()));
    repaid_bonus bigint;
    repaid_purchased bigint;
BEGIN
    IF w.user_id IS NULL THEN
        outcome := 'no_wallet';
        RETURN;
    END IF;
    outcome := 'replayed';
    available := billing_available(w);
    IF p_bonus + p_purchased = 0 OR EXISTS (SELECT FROM billing_ledgertransaction t WHERE t.key = p_key) THEN
        RETURN;
    END IF;
    repaid_bonus := least(w.debt, p_bonus);
    repaid_purchased := least(w.debt - repaid_bonus, p_purchased);
    UPDATE billing_wallet
       SET bonus_balance = bonus_balance + p_bonus - repaid_bonus,
           purchased_balance = purchased_balance + p_purchased - repaid_purchased,
           debt = debt - repaid_bonus - repaid_purchased, frozen = frozen - p_bonus - p_purchased,
           last_number = last_number + 1
     WHERE user_id = p_user
    RETURNING * INTO w;
    PERFORM billing_post(
        w, w.last_number, billing_balance(w), 'unfreeze', p_key, ARRAY['bonus', 'purchased', 'debt', 'frozen'],
        ARRAY[p_bonus - repaid_bonus, p_purchased - repaid_purchased, repaid_bonus + repaid_purchased,
              -p_bonus - p_purchased], p_reference);
    outcome := 'posted';
    available := billing_available(w);
END $$;

-- Waives up to p_amount of what a user owes. Outcomes: posted; replayed; nothing (none is owed); no_wallet.
CREATE FUNCTION billing_waive_debt(
    p_user uuid, p_amount bigint, p_key text, p_actor uuid, p_reason text, p_zone text, p_now timestamptz,
    OUT outcome text, OUT waived bigint, OUT available bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    w billing_wallet := billing_lock_wallet(p_user, p_zone, coalesce(p_now, clock_timestamp()));
BEGIN
    waived := 0;
    IF w.user_id IS NULL THEN
        outcome := 'no_wallet';
        RETURN;
    END IF;
    available := billing_available(w);
    IF EXISTS (SELECT FROM billing_ledgertransaction t WHERE t.key = p_key) THEN
        outcome := 'replayed';
        RETURN;
    END IF;
    waived := least(p_amount, w.debt);
    IF waived <= 0 THEN
        outcome := 'nothing';
        waived := 0;
        RETURN;
    END IF;
    UPDATE billing_wallet SET debt = debt - waived, last_number = last_number + 1
     WHERE user_id = p_user RETURNING * INTO w;
    PERFORM billing_post(
        w, w.last_number, billing_balance(w), 'debt_waived', p_key, ARRAY['debt', 'adjustments'],
        ARRAY[waived, -waived], '', '', '{}', p_actor, p_reason);
    outcome := 'posted';
    available := billing_available(w);
END $$;

-- The catalogue's history, whoever changes it.
CREATE FUNCTION billing_note_catalogue_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD IS NOT DISTINCT FROM NEW THEN
        RETURN NULL;
    END IF;
    INSERT INTO billing_cataloguechange (changed_at, "table", slug, before, after)
    VALUES (clock_timestamp(), substr(TG_TABLE_NAME, 9), CASE TG_OP WHEN 'DELETE' THEN OLD.slug ELSE NEW.slug END,
            CASE TG_OP WHEN 'INSERT' THEN NULL ELSE to_jsonb(OLD) END,
            CASE TG_OP WHEN 'DELETE' THEN NULL ELSE to_jsonb(NEW) END);
    RETURN NULL;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tier', 'plan', 'pack', 'actionprice', 'gift'] LOOP
        EXECUTE format(
            'CREATE TRIGGER catalogue_history AFTER INSERT OR UPDATE OR DELETE ON billing_%s
                FOR EACH ROW EXECUTE FUNCTION billing_note_catalogue_change()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['subscriptionevent', 'cataloguechange', 'refund', 'redemption'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %1$s_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_%1$s
                FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_rewrite()', name);
    END LOOP;
END $$;

-- What was sold stays as it was sold; only what came back of it is added.
CREATE FUNCTION billing_keep_payment() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE'
       OR (NEW.id, NEW.user_id, NEW.store, NEW.external_id, NEW.credits, NEW.bucket, NEW.amount, NEW.tax, NEW.currency,
           NEW.paid_at, NEW.name) IS DISTINCT FROM
          (OLD.id, OLD.user_id, OLD.store, OLD.external_id, OLD.credits, OLD.bucket, OLD.amount, OLD.tax, OLD.currency,
           OLD.paid_at, OLD.name)
       OR NEW.returned < OLD.returned OR NEW.credits_returned < OLD.credits_returned
    THEN
        RAISE EXCEPTION 'payments are kept as they were' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER payment_kept BEFORE UPDATE OR DELETE ON billing_payment
    FOR EACH ROW EXECUTE FUNCTION billing_keep_payment();

-- Nobody but the owner and the application's role may call what moves credits; the owner of a wallet sets
-- their own limits through the application.
DO $$
DECLARE
    entry regprocedure;
BEGIN
    FOR entry IN
        SELECT oid::regprocedure FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'billing\_%' AND prosecdef
           AND prorettype <> 'trigger'::regtype
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', entry);
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'parlor_app') THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO parlor_app', entry);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'parlor_app') THEN
        REVOKE UPDATE, DELETE, TRUNCATE ON billing_subscriptionevent, billing_refund, billing_redemption FROM parlor_app;
        REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing_cataloguechange FROM parlor_app;
        REVOKE DELETE, TRUNCATE ON billing_payment, billing_order, billing_subscription, billing_dispute FROM parlor_app;
        GRANT UPDATE (paused_at, message_cap, day_cap, low_balance) ON billing_wallet TO parlor_app;
    END IF;
END $$;
