CREATE TABLE rr (a int); GRANT SELECT ON rr TO "corpus odd ""role"""; ALTER TABLE rr OWNER TO "corpus odd ""role"""; CREATE POLICY rrp ON rr TO "corpus odd ""role""" USING (true);
