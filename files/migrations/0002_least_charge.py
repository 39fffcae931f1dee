from django.db import migrations

# Nothing is left of a refused file, and every other takes at least a block.
CHARGE = """
UPDATE files_file SET size = 0 WHERE state = 'refused';
UPDATE files_storageuse SET used = COALESCE((
    SELECT sum(CASE WHEN size = 0 THEN 0 ELSE greatest(size, 4096) END) FROM (
        SELECT owner_id, size FROM files_file UNION ALL SELECT owner_id, size FROM files_directupload
    ) AS taken WHERE taken.owner_id = files_storageuse.owner_id
), 0);
"""


class Migration(migrations.Migration):
    dependencies = [("files", "0001_initial")]

    operations = [migrations.RunSQL(CHARGE, migrations.RunSQL.noop)]
