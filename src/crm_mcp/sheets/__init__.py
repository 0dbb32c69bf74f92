"""Files of rows: what stands in a cell, and how CSV and XLSX write it."""
