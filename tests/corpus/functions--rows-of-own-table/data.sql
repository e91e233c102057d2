INSERT INTO notes VALUES (1, 'open'), (2, 'lost');
