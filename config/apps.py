from django.contrib.admin.apps import AdminConfig


class ParlorAdminConfig(AdminConfig):
    default_site = "config.admin_site.ParlorAdminSite"
