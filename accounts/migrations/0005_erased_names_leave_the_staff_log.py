"""The log of staff actions still can't be rewritten, except that the name of somebody who left goes."""

from django.db import migrations

CHANGE = """
CREATE OR REPLACE FUNCTION accounts_refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.target_label = ''
       AND to_jsonb(NEW) - 'target_label' = to_jsonb(OLD) - 'target_label' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""
BACK = """
CREATE OR REPLACE FUNCTION accounts_refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_exports_and_erasures")]

    operations = [migrations.RunSQL(CHANGE, BACK)]
