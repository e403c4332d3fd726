"""Widgets and state that several pages share; the only room below the pages that knows Streamlit."""
