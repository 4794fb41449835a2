"""Runs docs/notebook.ipynb from top to bottom with the kernel JJava, and keeps its outputs in it.

mvn -Pdist package
python -m venv notebook && notebook/bin/pip install jjava==1.0a8 nbclient nbformat
notebook/bin/python docs/notebook.py
"""

import pathlib

import nbclient
import nbformat

here = pathlib.Path(__file__).resolve().parent
file = here / "notebook.ipynb"
notebook = nbformat.read(file, as_version=4)
nbclient.NotebookClient(
    notebook, timeout=900, kernel_name="java", resources={"metadata": {"path": str(here)}}
).execute()
for cell in notebook.cells:
    cell.metadata.pop("execution", None)  # the times of day
    for output in cell.get("outputs", []):
        if "image/png" in output.get("data", {}):
            output["data"]["text/plain"] = "a picture"  # in place of Java's description of the object
        elif output.get("name") == "stderr":
            raise SystemExit("the error stream has: " + output["text"])
notebook.metadata.get("language_info", {}).pop("version", None)
nbformat.write(notebook, file)
