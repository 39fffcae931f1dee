

import common.ids
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0003_phone_numbers_and_texts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='StorageUse',
            fields=[
                ('owner', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('used', models.BigIntegerField(default=0)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('used__gte', 0)), name='storage_use_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='DirectUpload',
            fields=[
                ('id', models.UUIDField(default=common.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('category', models.CharField(choices=[('avatar', 'avatar'), ('persona_image', 'persona image'), ('chat_attachment', 'chat attachment'), ('knowledge_base', 'knowledge base')], max_length=20)),
                ('name', models.CharField(max_length=200)),
                ('size', models.BigIntegerField()),
                ('key', models.CharField(max_length=80, unique=True)),
                ('expires_at', models.DateTimeField()),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['expires_at'], name='direct_upload_expiry')],
                'constraints': [models.CheckConstraint(condition=models.Q(('size__gt', 0)), name='direct_upload_size_positive')],
            },
        ),
        migrations.CreateModel(
            name='File',
            fields=[
                ('id', models.UUIDField(default=common.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('category', models.CharField(choices=[('avatar', 'avatar'), ('persona_image', 'persona image'), ('chat_attachment', 'chat attachment'), ('knowledge_base', 'knowledge base')], max_length=20, verbose_name='category')),
                ('state', models.CharField(choices=[('pending', 'being checked'), ('ready', 'ready'), ('refused', 'refused')], default='ready', max_length=10, verbose_name='state')),
                ('name', models.CharField(max_length=200, verbose_name='name')),
                ('content_type', models.CharField(max_length=60, verbose_name='type')),
                ('size', models.BigIntegerField(help_text='With the sizes pictures are kept in.', verbose_name='size in bytes')),
                ('key', models.CharField(editable=False, max_length=80, unique=True)),
                ('card_key', models.CharField(blank=True, editable=False, max_length=80)),
                ('thumbnail_key', models.CharField(blank=True, editable=False, max_length=80)),
                ('facts', models.JSONField(default=dict, editable=False, verbose_name='facts')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='owner')),
            ],
            options={
                'verbose_name': 'file',
                'verbose_name_plural': 'files',
                'indexes': [models.Index(fields=['owner', '-created_at', '-id'], name='file_owner_newest'), models.Index(condition=models.Q(('state', 'pending')), fields=['state'], name='file_pending')],
                'constraints': [models.CheckConstraint(condition=models.Q(('size__gte', 0)), name='file_size_not_negative'), models.CheckConstraint(condition=models.Q(('category__in', ['avatar', 'persona_image', 'chat_attachment', 'knowledge_base'])), name='file_category_known')],
            },
        ),
    ]
