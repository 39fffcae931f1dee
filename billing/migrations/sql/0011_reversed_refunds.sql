-- What was sold stays as it was sold; what came back of it may turn out not to have, so it may go down again.
CREATE OR REPLACE FUNCTION billing_keep_payment() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE'
       OR (NEW.id, NEW.user_id, NEW.store, NEW.external_id, NEW.credits, NEW.bucket, NEW.amount, NEW.tax, NEW.currency,
           NEW.paid_at, NEW.name) IS DISTINCT FROM
          (OLD.id, OLD.user_id, OLD.store, OLD.external_id, OLD.credits, OLD.bucket, OLD.amount, OLD.tax, OLD.currency,
           OLD.paid_at, OLD.name)
    THEN
        RAISE EXCEPTION 'payments are kept as they were' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
