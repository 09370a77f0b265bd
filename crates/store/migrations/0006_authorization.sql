-- Who may prove who they are in which way: with personal access tokens, with a password. Members of these groups, and
-- these users and service principals. Administrators always may, or nobody could give it back.
CREATE TABLE authorization_grant (
    way TEXT NOT NULL,                  -- tokens | passwords
    principal BIGINT NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    PRIMARY KEY (way, principal)
);
CREATE INDEX authorization_grant_by_principal ON authorization_grant (principal);
INSERT INTO authorization_grant (way, principal)
    SELECT w.way, p.id FROM principal p, (SELECT 'tokens' AS way UNION ALL SELECT 'passwords') w
    WHERE p.kind = 'group' AND p.folded IN ('admins', 'account users');
