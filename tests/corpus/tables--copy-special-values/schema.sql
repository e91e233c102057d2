CREATE TABLE special (a text, b text);
