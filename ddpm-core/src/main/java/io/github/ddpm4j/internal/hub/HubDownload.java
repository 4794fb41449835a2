package io.github.ddpm4j.internal.hub;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.FolderClaim;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.io.JsonFile;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One download of a model into the cache, in the layout of Python's huggingface_hub. */
final class HubDownload {

  private static final Logger logger = LoggerFactory.getLogger(Hub.class);

  /** A list of some hundred thousand files is no longer. */
  private static final int MOST_LISTED_BYTES = 32 << 20;

  private static final Duration PAUSE = Duration.ofMillis(500);

  private final HubCache cache;
  private final HubHttp http;
  private final String id;
  private final String revision;
  private final List<String> components;
  private final Hub.Progress progress;
  private final Hub.Waits waits;
  private final Path model;
  private final Path blobs;

  HubDownload(
      HubCache cache,
      HubHttp http,
      String id,
      String revision,
      List<String> components,
      Hub.Progress progress,
      Hub.Waits waits) {
    this.cache = cache;
    this.http = http;
    this.id = id;
    this.revision = revision;
    this.components = components;
    this.progress = progress;
    this.waits = waits;
    model = cache.model(id);
    blobs = model.resolve("blobs");
  }

  /** What the hub says of a revision. */
  private record Listing(String commit, Set<String> names) {}

  Path run() throws IOException, InterruptedException {
    Listing listing = listing();
    PipelineFiles chosen = PipelineFiles.of(id, listing.names(), components);
    Path snapshot = model.resolve("snapshots").resolve(listing.commit());
    Path locks = cache.locks(id);
    WholeFile.makeFolder(locks, locks);
    WholeFile.makeFolder(blobs, blobs);
    WholeFile.makeFolder(snapshot, snapshot);
    try (FolderClaim claim = claim(locks)) {
      Set<String> names = new LinkedHashSet<>(chosen.files());
      for (String index : chosen.indexes()) {
        fetch(List.of(announced(listing.commit(), index)), snapshot);
        names.addAll(
            PipelineFiles.shards(
                id, index, JsonFile.read(snapshot.resolve(index)), listing.names()));
      }
      List<HubFile> files = new ArrayList<>();
      for (String name : names) {
        files.add(announced(listing.commit(), name));
      }
      fetch(files, snapshot);
      WholeFile.forceFolder(blobs);
      if (!revision.equals(listing.commit())) {
        // Last: by this name nobody finds a part of a model.
        WholeFile.writeText(model.resolve("refs").resolve(revision), listing.commit());
      }
    }
    return snapshot;
  }

  /** Waits for others, until the thread is interrupted. */
  private FolderClaim claim(Path locks) throws IOException, InterruptedException {
    boolean told = false;
    while (true) {
      Optional<FolderClaim> claim = FolderClaim.of(locks);
      if (claim.isPresent()) {
        return claim.get();
      }
      if (!told) {
        logger.info("{} is being downloaded by another thread or process; waiting for it", id);
        told = true;
      }
      waits.sleep(PAUSE);
    }
  }

  private Listing listing() throws IOException, InterruptedException {
    String[] parts = id.split("/", -1);
    URI address = http.address("api", "models", parts[0], parts[1], "revision", revision);
    Map<String, @Nullable Object> json =
        JsonFile.parse(HubHttp.name(address), http.bytes(address, MOST_LISTED_BYTES));
    Set<String> names = new LinkedHashSet<>();
    if (json.get("siblings") instanceof List<?> siblings) {
      for (Object sibling : siblings) {
        if (sibling instanceof Map<?, ?> file && file.get("rfilename") instanceof String name) {
          names.add(name);
        }
      }
    }
    if (!(json.get("sha") instanceof String commit)
        || !HubCache.COMMIT.matcher(commit).matches()
        || names.isEmpty()) {
      throw new IOException(
          HubHttp.name(address)
              + " must tell a commit of 40 hexadecimal digits and its files, but tells "
              + Quote.of(json.get("sha"))
              + " and "
              + names.size()
              + " files; check HF_ENDPOINT");
    }
    return new Listing(commit, names);
  }

  private HubFile announced(String commit, String name) throws IOException, InterruptedException {
    List<String> parts = new ArrayList<>(List.of(id.split("/", -1)));
    parts.add("resolve");
    parts.add(commit);
    parts.addAll(List.of(name.split("/", -1)));
    return HubFile.of(http, name, http.address(parts.toArray(String[]::new)));
  }

  private void fetch(List<HubFile> files, Path snapshot) throws IOException, InterruptedException {
    long missing = 0;
    for (HubFile file : files) {
      missing += file.isWhole(place(snapshot, file)) ? 0 : file.missing(blobs);
    }
    long free = Files.getFileStore(blobs).getUsableSpace();
    if (missing > free) {
      throw new IOException(
          model
              + " needs "
              + missing
              + " bytes more, but the disk has "
              + free
              + "; make room, or set HF_HOME to a folder on another disk");
    }
    for (HubFile file : files) {
      Path place = place(snapshot, file);
      if (file.isWhole(place)) {
        progress.at(file.name(), file.size(), file.size());
        continue;
      }
      if (!file.isWhole(file.blob(blobs))) {
        file.download(http, blobs, progress);
      }
      show(file.blob(blobs), place);
    }
  }

  private static Path place(Path snapshot, HubFile file) throws IOException {
    Path place = snapshot.resolve(file.name()).normalize();
    if (!place.startsWith(snapshot)) {
      throw new IOException(file.name() + " would leave the folder " + snapshot);
    }
    return place;
  }

  /** A link to the blob; where the system has no links, the blob itself, as Python does it. */
  private void show(Path blob, Path place) throws IOException {
    Path folder = Objects.requireNonNull(place.getParent());
    Files.createDirectories(folder);
    Path beside = folder.resolve("." + place.getFileName() + "." + UUID.randomUUID() + ".part");
    try {
      Files.createSymbolicLink(beside, folder.relativize(blob));
    } catch (UnsupportedOperationException | IOException e) {
      logger.debug("no links here, so {} is moved", blob, e);
      Files.move(blob, place, StandardCopyOption.REPLACE_EXISTING);
      return;
    }
    try {
      Files.move(beside, place, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      if (Files.exists(beside, LinkOption.NOFOLLOW_LINKS)) {
        Files.delete(beside);
      }
    }
  }
}
