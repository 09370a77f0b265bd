-- Tokens, passwords, OAuth secrets and stored secrets. Nothing here can be used by who reads it: tokens and codes are kept
-- as SHA-256 of 256 random bits, passwords as argon2id, secrets encrypted under a root key that is not in the database.

-- A person's name in parts, as directories keep it. Empty or NULL: not known.
ALTER TABLE principal ADD COLUMN given_name TEXT;
ALTER TABLE principal ADD COLUMN family_name TEXT;

-- What a request is authenticated with.
CREATE TABLE token (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,                 -- personal | oauth | session
    hash TEXT NOT NULL,                 -- SHA-256 in hexadecimal
    principal BIGINT NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    comment TEXT,
    family TEXT,                        -- of the sign-in that it came from, for OAuth
    created_at BIGINT NOT NULL,
    created_by BIGINT,                  -- a principal that may be gone; NULL: the program
    created_by_name TEXT NOT NULL,
    expires_at BIGINT                   -- NULL: never
);
CREATE UNIQUE INDEX token_by_hash ON token (hash);
CREATE INDEX token_by_principal ON token (principal, kind);
CREATE INDEX token_by_family ON token (family);
CREATE INDEX token_by_expiry ON token (expires_at);

CREATE TABLE password (
    principal BIGINT PRIMARY KEY REFERENCES principal (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,                 -- argon2id in PHC's form
    changed_at BIGINT NOT NULL
);

-- The one-time link of the first start, and of whom an administrator invites.
CREATE TABLE setup_code (
    hash TEXT PRIMARY KEY,
    principal BIGINT NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);

-- Client secrets of service principals.
CREATE TABLE oauth_secret (
    id TEXT PRIMARY KEY,
    principal BIGINT NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX oauth_secret_by_hash ON oauth_secret (hash);
CREATE INDEX oauth_secret_by_principal ON oauth_secret (principal);

-- Authorization codes and refresh tokens: each is good once.
CREATE TABLE oauth_grant (
    hash TEXT PRIMARY KEY,
    kind TEXT NOT NULL,                 -- code | refresh
    principal BIGINT NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,            -- PKCE, S256; empty for a refresh token
    scope TEXT NOT NULL,
    family TEXT NOT NULL,               -- one sign-in: everything of it ends when one of its grants is used twice
    used_at BIGINT,
    expires_at BIGINT NOT NULL
);
CREATE INDEX oauth_grant_by_family ON oauth_grant (family);
CREATE INDEX oauth_grant_by_principal ON oauth_grant (principal);

-- The data key of a secret scope, wrapped by the root key.
CREATE TABLE secret_scope (
    id TEXT PRIMARY KEY REFERENCES securable (id) ON DELETE CASCADE,
    wrapped_key BLOB NOT NULL
);

CREATE TABLE secret (
    scope TEXT NOT NULL REFERENCES secret_scope (id) ON DELETE CASCADE,
    folded TEXT NOT NULL,               -- the key as it is compared
    name TEXT NOT NULL,                 -- the key as it was written
    version BIGINT NOT NULL,
    sealed BLOB NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (scope, folded)
);
