# fe2 with DOLFINx on Debian 13; how to build and run it: docker/README.md

FROM docker.io/library/debian:trixie-slim AS system
# DOLFINx compiles forms at run time: gcc and Python's headers belong to the image. The others are the
# libraries that gmsh and VTK load. MPI comes with the wheels.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      gcc libc6-dev libpython3-dev python3 \
      libegl1 libfontconfig1 libgl1 libglu1-mesa libgomp1 libx11-6 libxcursor1 libxext6 libxfixes3 \
      libxft2 libxinerama1 libxrender1 \
 && rm -rf /var/lib/apt/lists/*


# For docker/compose.yaml: what `make` needs to build and test a checkout that is mounted at /work.
FROM system AS development
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git make python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /work
CMD ["bash"]


FROM system AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3-venv
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/fe2
WORKDIR /source

# Dependencies first, so that a change in fe2 itself does not install them again.
COPY pyproject.toml constraints.txt ./
RUN python3 -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
                print(*p['dependencies'], *p['optional-dependencies']['wheel'], sep='\n')" > requirements.txt \
 && /opt/fe2/bin/pip install --constraint constraints.txt --requirement requirements.txt

COPY LICENSE README.md setup.py ./
COPY fe2 fe2
COPY meshes meshes
RUN /opt/fe2/bin/pip install --no-deps . \
 && /opt/fe2/bin/pip uninstall --yes pip


FROM system
COPY --from=build /opt/fe2 /opt/fe2
# Any user may make a folder of his own in the cache, as in /tmp, and fe2 loads code from no other: `--user`, a
# volume there and a read-only root work. Pictures need no display.
ENV PATH=/opt/fe2/bin:$PATH \
    OMP_NUM_THREADS=1 \
    XDG_CACHE_HOME=/var/cache/fe2 \
    MPLCONFIGDIR=/var/cache/fe2/matplotlib \
    VTK_DEFAULT_OPENGL_WINDOW=vtkEGLRenderWindow
RUN useradd --create-home --uid 1000 fe2 \
 && chmod 755 /home/fe2 \
 && install --directory --mode 1777 /home/fe2/results /var/cache/fe2 /var/cache/fe2/matplotlib
USER fe2
WORKDIR /home/fe2
COPY --chown=fe2:fe2 demos demos
COPY --chown=fe2:fe2 meshes meshes
VOLUME /home/fe2/results
# Can forms be compiled where fe2 keeps them, and does MPI start?
HEALTHCHECK --interval=5m --timeout=60s CMD ["fe2", "info", "--json"]
ENTRYPOINT ["fe2"]
CMD ["--help"]
