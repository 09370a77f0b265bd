-- Who may do what to which object, and what was done: the tables that every component stands on.

CREATE TABLE principal (
    id BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,                 -- user | group | service_principal
    name TEXT NOT NULL,                 -- a user's e-mail address, a group's display name, a service principal's application id
    folded TEXT NOT NULL,               -- the name as it is compared
    display_name TEXT,
    external_id TEXT,
    active BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
-- A GRANT names a principal of any kind, so names are unique over all of them.
CREATE UNIQUE INDEX principal_by_name ON principal (folded);

-- Who was put into which group.
CREATE TABLE member (
    group_id BIGINT NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    member_id BIGINT NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, member_id)
);
CREATE INDEX member_by_member ON member (member_id);

-- The same with nesting resolved: everybody is in their own closure.
CREATE TABLE closure (
    member BIGINT NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    principal BIGINT NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    PRIMARY KEY (member, principal)
);
CREATE INDEX closure_by_principal ON closure (principal);

-- Everything that grants can be given on.
CREATE TABLE securable (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    parent TEXT REFERENCES securable (id),
    name TEXT NOT NULL,                 -- as it was written
    folded TEXT NOT NULL,               -- as it is compared
    path TEXT NOT NULL,                 -- the folded full name
    owner BIGINT NOT NULL REFERENCES principal (id),
    comment TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
);
CREATE UNIQUE INDEX securable_by_path ON securable (kind, path);
CREATE INDEX securable_by_parent ON securable (parent, kind, folded);
CREATE INDEX securable_by_owner ON securable (owner);

CREATE TABLE securable_grant (
    securable TEXT NOT NULL REFERENCES securable (id) ON DELETE CASCADE,
    principal BIGINT NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    privilege TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    granted_by TEXT NOT NULL,
    PRIMARY KEY (securable, principal, privilege)
);
CREATE INDEX securable_grant_by_principal ON securable_grant (principal);

-- Bumped by every change that a decision depends on; one row.
CREATE TABLE authz_version (
    one BIGINT PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO authz_version (one, version) VALUES (1, 1);

-- system.access.audit
CREATE TABLE audit_event (
    event_id TEXT PRIMARY KEY,
    event_time BIGINT NOT NULL,
    principal BIGINT,
    principal_name TEXT,
    source_ip TEXT,
    user_agent TEXT,
    request_id TEXT,
    statement_id TEXT,
    service_name TEXT NOT NULL,
    action_name TEXT NOT NULL,
    request_params TEXT NOT NULL,
    status_code BIGINT NOT NULL,
    error_message TEXT
);
CREATE INDEX audit_event_by_time ON audit_event (event_time);

-- What the installation itself must remember, for example its workspace id.
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
