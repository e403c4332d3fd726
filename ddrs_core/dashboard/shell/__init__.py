"""What surrounds the pages: Streamlit's patches, widgets' values, visitors, errors."""
