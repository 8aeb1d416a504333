import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Date;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import org.apache.cassandra.io.sstable.CQLSSTableWriter;
import org.apache.cassandra.utils.Clock;

/**
 * Writes SSTables without a server. Arguments: directory, kind, rows, seed, MiB of a file, compression options. All
 * that is written hangs on these, times included.
 */
public final class Generate {
    private static final String[] WORDS = ("river stone cloud market window garden copper silver bridge castle harbor meadow signal engine"
            + " ledger parcel ticket voucher refund invoice account balance carrier pallet depot weight height width colour and for with from under over").split(" ");

    /** The day of all generated rows, 2023-11-14. */
    private static final long DAY = 1_700_000_000_000L;

    /** A clock that stands: Cassandra stamps deletions, of which a written set is one, with its time. */
    public static final class StandingClock implements Clock {
        @Override
        public long nanoTime() {
            return System.nanoTime();
        }

        @Override
        public long currentTimeMillis() {
            return DAY;
        }
    }

    private final Random random;
    private final CQLSSTableWriter writer;
    private long micros;

    private Generate(CQLSSTableWriter writer, long seed) {
        this.random = new Random(seed);
        this.writer = writer;
        this.micros = DAY * 1000 + seed;
    }

    public static void main(String[] args) throws Exception {
        String kind = args[1];
        long rows = Long.parseLong(args[2]);
        CQLSSTableWriter writer = CQLSSTableWriter.builder()
                .inDirectory(args[0])
                .forTable(schema(kind, args[5]))
                .using(insert(kind))
                .withMaxSSTableSizeInMiB(Integer.parseInt(args[4]))
                .build();
        new Generate(writer, Long.parseLong(args[3])).write(kind, rows);
        writer.close();
        // Cassandra leaves threads behind.
        System.exit(0);
    }

    private static String schema(String kind, String compression) {
        String with = " WITH compression = {" + compression + "}";
        switch (kind) {
            case "iot":
                return "CREATE TABLE bulk.iot (sensor uuid, day int, ts timestamp, temp double, hum double, batt float, state text,"
                        + " PRIMARY KEY ((sensor, day), ts))" + with;
            case "docs":
                return "CREATE TABLE bulk.docs (id uuid PRIMARY KEY, email text, name text, body text, tags set<text>, created timestamp)" + with;
            case "blobs":
                return "CREATE TABLE bulk.blobs (k bigint, c int, v blob, PRIMARY KEY (k, c))" + with;
            default:
                throw new IllegalArgumentException("no kind " + kind);
        }
    }

    private static String insert(String kind) {
        switch (kind) {
            case "iot":
                return "INSERT INTO bulk.iot (sensor, day, ts, temp, hum, batt, state) VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
            case "docs":
                return "INSERT INTO bulk.docs (id, email, name, body, tags, created) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
            default:
                return "INSERT INTO bulk.blobs (k, c, v) VALUES (?, ?, ?) USING TIMESTAMP ?";
        }
    }

    private void write(String kind, long rows) throws Exception {
        for (long i = 0; i < rows; i++) {
            switch (kind) {
                case "iot":
                    reading(i);
                    break;
                case "docs":
                    document();
                    break;
                default:
                    blob(i);
            }
        }
    }

    /** Microseconds of the next write: writes come up to a millisecond apart. */
    private long next() {
        return micros += random.nextInt(1000);
    }

    private String word() {
        return WORDS[random.nextInt(WORDS.length)];
    }

    private UUID uuid() {
        return new UUID(random.nextLong(), random.nextLong());
    }

    private UUID sensor;
    private long at;
    private double temperature;
    private double humidity;
    private float battery;

    /** One of 500 readings a second apart, each near the one before it. */
    private void reading(long i) throws Exception {
        if (i % 500 == 0) {
            sensor = uuid();
            at = DAY + random.nextInt(86_400_000);
            temperature = 20 + 5 * random.nextGaussian();
            humidity = 50;
            battery = 100;
        }
        at += 1000 + random.nextInt(50);
        temperature += random.nextGaussian() / 10;
        humidity += random.nextGaussian() * 0.3;
        battery -= 0.01f;
        String state = i % 500 % 97 == 0 ? "ALARM" : "OK";
        writer.addRow(sensor, (int) (i / 500 % 30), new Date(at), hundredths(temperature), hundredths(humidity), battery, state, next());
    }

    private static double hundredths(double value) {
        return Math.round(value * 100) / 100.0;
    }

    /** A customer with a JSON text of 5 to 44 items. */
    private void document() throws Exception {
        StringBuilder body = new StringBuilder("{\"items\":[");
        int items = 5 + random.nextInt(40);
        for (int j = 0; j < items; j++) {
            body.append(j == 0 ? "" : ",").append("{\"sku\":").append(random.nextInt(100_000));
            body.append(",\"desc\":\"").append(word()).append(' ').append(word()).append("\",\"qty\":").append(random.nextInt(9)).append('}');
        }
        Set<String> tags = new HashSet<>(Arrays.asList(word(), word(), word()));
        String email = word() + random.nextInt(1_000_000) + "@example.com";
        Date created = new Date(DAY + random.nextInt(1 << 30));
        writer.addRow(uuid(), email, word() + " " + word(), body.append("]}").toString(), tags, created, next());
    }

    /** One of ten blobs of a KiB that nothing compresses. */
    private void blob(long i) throws Exception {
        byte[] value = new byte[1024];
        random.nextBytes(value);
        writer.addRow(i / 10, (int) (i % 10), ByteBuffer.wrap(value), next());
    }
}
