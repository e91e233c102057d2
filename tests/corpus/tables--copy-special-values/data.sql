INSERT INTO special VALUES ('\N', NULL), ('\.', ''), (E'\\\\N', E'\r\n'), (E'\b\f\v', E'a\tb'), ('NULL','null'), (E'\u2028\u0085', ' lead');
