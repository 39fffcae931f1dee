app_name = "ai"

urlpatterns = []
