"""Files of candles as people have them: unpacked, made a table, and each column understood, or refused by row."""
