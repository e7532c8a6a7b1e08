"""What report pages are drawn from: HTML that is escaped, tables, pictures, bars."""
