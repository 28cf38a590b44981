"""Who may do what to a node."""

class ACL: ...

CREATOR_ALL_ACL: list[ACL]
