CREATE TABLE lbl (a int); COMMENT ON TABLE lbl IS 'a label needs a provider, a comment does not';
