CREATE SCHEMA app; CREATE SCHEMA "Mixed Case"; COMMENT ON SCHEMA app IS 'the application''s schema';
