INSERT INTO words VALUES ('a', 'here'), ('b', 'there'), (NULL, NULL);
