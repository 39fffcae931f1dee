from django.db import migrations

from accounts.roles import grant


class Migration(migrations.Migration):
    # The permissions of every app, which its models have once they are there.
    dependencies = [
        ("accounts", "0006_api_keys_and_look_alikes"),
        ("ai", "0002_catalogue"),
        ("billing", "0004_catalogue"),
        ("chat", "0001_initial"),
        ("files", "0001_initial"),
        ("notifications", "0001_initial"),
        ("personas", "0002_categories"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("sessions", "0001_initial"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
        ("usersessions", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunPython(grant, migrations.RunPython.noop, elidable=False)]
