CREATE TABLE items (id int PRIMARY KEY, name text COLLATE "C");
CREATE VIEW endless AS SELECT id, name FROM items;
CREATE VIEW above AS SELECT id FROM endless;
-- Nobody can read it any more, but it is there, with its rights and comment.
CREATE OR REPLACE VIEW endless WITH (security_barrier) AS SELECT id, name FROM endless WHERE id > 1;
COMMENT ON VIEW endless IS 'reads itself';
GRANT SELECT ON endless TO corpus_reader;
-- Through another one, and itself at once.
CREATE VIEW one AS SELECT 1 AS n;
CREATE VIEW two AS SELECT n FROM one;
CREATE OR REPLACE VIEW one AS SELECT two.n FROM two JOIN one USING (n);
