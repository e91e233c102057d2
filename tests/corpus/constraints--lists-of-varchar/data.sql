INSERT INTO orders VALUES (1, 'open', 'there', 'good'), (2, 'it''s, ] closed', NULL, NULL);
