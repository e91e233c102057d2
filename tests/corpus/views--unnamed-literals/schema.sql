CREATE TABLE words (word varchar(10), place text);
CREATE VIEW after_a AS SELECT word FROM words WHERE word > ALL (SELECT 'a');
CREATE VIEW known AS
  SELECT place FROM words WHERE (word, place) IN (SELECT word, 'here' FROM words)
    AND EXISTS (SELECT 'x' FROM after_a WHERE after_a.word LIKE ANY (ARRAY['a%', words.word]));
CREATE FUNCTION all_words(given varchar) RETURNS SETOF varchar
BEGIN ATOMIC
  SELECT word FROM words WHERE word IN ('a', 'b') UNION ALL SELECT 'x' UNION ALL SELECT NULL;
END;
CREATE RULE noted AS ON DELETE TO words WHERE old.word IN ('a', 'b')
  DO ALSO UPDATE words SET place = (SELECT 'gone') WHERE words.word = old.word;
