-- The name of the views' own rules, which other rules can only get by a new name.
CREATE TABLE plain (a int);
CREATE RULE mine AS ON INSERT TO plain DO ALSO NOTIFY plain_changed;
DO $$ BEGIN
  ALTER RULE mine ON plain RENAME TO "_RETURN";
  COMMENT ON RULE "_RETURN" ON plain IS 'not a view';
EXCEPTION WHEN invalid_object_definition THEN -- minor releases of November 2026 refuse the name
  COMMENT ON RULE mine ON plain IS 'not a view';
END $$;
