from unfold.sites import UnfoldAdminSite


class ParlorAdminSite(UnfoldAdminSite):
    """The operators' entrance."""
