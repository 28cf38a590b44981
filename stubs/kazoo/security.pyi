"""Who may do what to a node."""

class ACL: ...

CREATOR_ALL_ACL: list[ACL]
OPEN_ACL_UNSAFE: list[ACL]

def make_acl(scheme: str, credential: str, *, read: bool = False, admin: bool = False) -> ACL: ...
