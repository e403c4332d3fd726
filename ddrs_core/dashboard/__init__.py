"""Widgets and state that several pages share; below the pages, only this room knows Streamlit."""
