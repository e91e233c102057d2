INSERT INTO xs VALUES ('{r}','{q}');
