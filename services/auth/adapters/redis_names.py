"""Names of auth's keys in Redis. All of a tenant's share one hash tag, so one script may touch them together."""


def tenant_record(tenant_id: str) -> str:
    """A hash: display_name, create_ms, limits, and `disabled` = 1 to shut the tenant out."""
    return f"auth:{{{tenant_id}}}:tenant"


def key_record(tenant_id: str, key_id: str) -> str:
    """A hash: digest, user_id, scopes, display_name, create_ms, expire_ms, revoke_ms (0: not yet or never)."""
    return f"auth:{{{tenant_id}}}:key:{key_id}"


def key_list(tenant_id: str) -> str:
    """A sorted set of `<create_ms>:<key id>`, all with score 0: in order of their age."""
    return f"auth:{{{tenant_id}}}:keys"


def limit_state(tenant_id: str, what: str) -> str:
    """A GCRA's theoretical arrival time, in ticks; gone when it has passed."""
    return f"auth:{{{tenant_id}}}:limit:{what}"
