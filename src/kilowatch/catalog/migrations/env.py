"""Run by Alembic: applies the migrations to the connection that ``database.py`` opened."""

from alembic import context

from kilowatch.catalog import tables_corrections  # noqa: F401 - the metadata is complete with it
from kilowatch.catalog.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    # database.py holds one transaction, and the lock, around all migrations.
    transactional_ddl=False,
)
context.run_migrations()
