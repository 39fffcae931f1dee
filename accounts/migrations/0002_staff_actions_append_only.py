"""The log of staff actions can grow but not be rewritten, whoever is connected."""

from django.db import migrations

CREATE = """
CREATE FUNCTION accounts_refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER accounts_staffaction_append_only
    BEFORE UPDATE OR DELETE ON accounts_staffaction
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_rewrite();
"""
DROP = """
DROP TRIGGER accounts_staffaction_append_only ON accounts_staffaction;
DROP FUNCTION accounts_refuse_rewrite();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
