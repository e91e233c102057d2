CREATE TABLE notes (id int PRIMARY KEY, state varchar(10));
CREATE FUNCTION is_open(note notes) RETURNS boolean IMMUTABLE LANGUAGE sql
  AS $$ SELECT note.state IN ('open', 'new') $$;
CREATE FUNCTION note_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
ALTER TABLE notes ADD CONSTRAINT opened CHECK (is_open(notes.*) OR state IN ('lost', 'kept'));
CREATE INDEX open_notes ON notes (state) WHERE is_open(notes.*) AND state IN ('open', 'new');
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_open ON notes USING (is_open(notes.*) AND state IN ('open', 'new'));
CREATE TRIGGER changed BEFORE UPDATE ON notes FOR EACH ROW
  WHEN (is_open(new.*) AND new.state IN ('open', 'new')) EXECUTE FUNCTION note_changed();
CREATE VIEW open_rows AS SELECT notes AS note FROM notes WHERE is_open(notes) AND state IN ('open', 'new');
